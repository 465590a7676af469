"""ActivityNet features as mmaction2 prepares them for BSN and BMN: ``v_VIDEO.csv``, laid out as BSN's.

Its tool pools each stream's class scores to 100 rows and writes RGB first; what it pools from, snippets of 16 frames at
the video's own rate, is lost. `bsn` says how their rows lie in time.
"""

from __future__ import annotations

from tal.feature_sets.bsn import LAYOUT, find

__all__ = ["LAYOUT", "find"]
