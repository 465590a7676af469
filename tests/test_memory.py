"""The allocator keeps the memory of pictures: a page that is new to the process costs more than what is put there."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from extract.decoders._memory import keep_freed_memory

PICTURES = """
import ctypes, resource, sys
import numpy as np
from extract.decoders._memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: whether there are huge pages is a matter of luck
told = []
for turn in range(40):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pictures = [np.ones((720, 1280, 3), np.uint8) for _ in range(4)]
    del pictures
    told.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(told[20:])[10])  # the system may take pages away, or look at where they are, in some turn
"""


def new_pages(how: str) -> int:
    """Return how many pages a process needs for four pictures after many like them."""
    done = subprocess.run([sys.executable, "-c", PICTURES, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_other_systems_are_left_alone() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this system's allocator has no such settings")
def test_pictures_take_few_new_pages() -> None:
    assert new_pages("kept") < 100 < 2000 < new_pages("as it is")
