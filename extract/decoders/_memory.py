"""Keeps the C library from handing the memory of each picture back to the system, only to ask for it again.

A picture of 1280x720 is 675 pages, and a page that is new to the process takes longer to get than to fill: a third of
all time went there.
"""

from __future__ import annotations

import ctypes
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of settings in glibc's malloc.h."""
KEPT_BYTES = 64 << 20
"""So much may stay with the process when nothing uses it."""
LARGEST_BYTES = 32 << 20
"""Larger blocks still come from the system and go back to it (glibc's upper limit)."""


@cache
def keep_freed_memory() -> bool:
    """Set this process's allocator; return whether it has such settings (glibc, so Linux)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES) and mallopt(MMAP_THRESHOLD, LARGEST_BYTES))
