"""Detections: as values, as ActivityNet-style JSON written and read, as THUMOS14 text read.

JSON: ``{"version": "tal 1", "results": {VIDEO: [{"label", "segment": [start, end], "score"}]}, "external_data": {...},
"provenance": {...}}``; segments in seconds, rounded to milliseconds, so that equal detections give equal files.

THUMOS14 text: lines ``VIDEO START END CLASS SCORE``. CLASS is a name or an index. The official kit counts the 20
classes in UCF101 (7 BaseballPitch to 97 VolleyballSpiking), other lists count from 1 to 20; the file as a whole tells
which it means.
"""

from tal.results.files import VERSION, dumps, read_results, to_json, write_results
from tal.results.thumos14 import THUMOS14_CLASSES
from tal.results.values import Results, UnknownVideo

__all__ = [
    "THUMOS14_CLASSES",
    "VERSION",
    "Results",
    "UnknownVideo",
    "dumps",
    "read_results",
    "to_json",
    "write_results",
]
