"""Inputs and outputs behind URLs: ``s3://``, ``gs://``, ``hf://``, ``https://`` and whatever fsspec knows.

The rest of the program works with local files. At its edges, inputs are staged into a bounded cache (`Stage`,
`stage_folder`) and outputs are made locally and put whole (`Store.put`). Paths of local files take no part in this, and
fsspec is imported when a URL is first used.
"""

from tal.storage.edge import Edge, Kind
from tal.storage.folders import stage_folder
from tal.storage.retrying import AwayError, Patience, StoppedError, is_away
from tal.storage.stage import STAGED, Stage
from tal.storage.store import Remote, Store
from tal.storage.urls import join, name_in, path_of, shown, url_of

__all__ = [
    "STAGED",
    "AwayError",
    "Edge",
    "Kind",
    "Patience",
    "Remote",
    "Stage",
    "StoppedError",
    "Store",
    "is_away",
    "join",
    "name_in",
    "path_of",
    "shown",
    "stage_folder",
    "url_of",
]
