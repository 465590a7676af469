"""The allocator keeps the memory of pictures: a page that is new to the process costs more than what is put there."""

from __future__ import annotations

import platform
import resource
from pathlib import Path

import clips
import pytest

from extract import decoders
from extract.decoders._memory import keep_freed_memory


def test_other_systems_are_left_alone() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


def test_pictures_take_few_new_pages(tmp_path: Path) -> None:
    if not keep_freed_memory():
        pytest.skip("this system's allocator has no such settings")
    path = clips.write(tmp_path / "a.mp4", range(60), size=(1280, 720))
    pages = []
    for i, frame in enumerate(decoders.load("pyav").frames(path)):
        frame.rgb()
        if i in {20, 59}:
            pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    assert (pages[1] - pages[0]) / 39 < 1280 * 720 * 3 / resource.getpagesize() / 4
