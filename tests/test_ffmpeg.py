"""The same frames at the same times as the ffmpeg program with ``-vf fps=``, of real files.

Agrees to the bit with ffmpeg 9.0. Older ones differ where `ELSEWHERE` says so, and by up to `LEVELS` in codecs whose
inverse transform they compute otherwise (XviD, WMV).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import program
import pytest
from program import LEVELS, PAL, SLOW, Shown, assert_same, ours, theirs

from tal.errors import VideoError

pytestmark = pytest.mark.ffmpeg
_program = program.needed  # a fixture that every test uses
MOST_SHOWN = 40
"""Frames compared of each file of more than half a megapixel."""

OWN_CLOCK = "its sound has a lead-in before 0, which ffmpeg before 7 takes for the file's start"
LONGER = "its last frame lasts longer than the others, which ffmpeg before 7 overlooks"
SITED = "its chroma is sited left, which ffmpeg overlooks when it interpolates chroma"
DAMAGED = "what is painted into damaged areas depends on the number of threads"
ELSEWHERE = {
    "actions/single/flipping_a_pancake.mkv": OWN_CLOCK,
    "actions/single/max_baseball.mp4": LONGER,
    "nasty/exo_sample.flv": LONGER,
    "nasty/mp4parser_count-video.mp4": LONGER,
    "nasty/h264_10bits.mp4": SITED,
    "nasty/decord_corrupted.mp4": DAMAGED,
}
"""Real files of which ffmpeg may show something else, and why; tests of their own say what holds."""


def real(folder: Path, part: str, step: int = 1) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in (folder / part).rglob("*.*"))[::step]


def compare(folder: Path, name: str, fps: Fraction, *options: str) -> int:
    path = folder / name
    return assert_same(bounded(ours(path, fps)), bounded(theirs(path, fps, *options)), LEVELS)


def bounded(shown: Iterator[Shown]) -> Iterator[Shown]:
    for n, (slot, rgb) in enumerate(shown):
        if n == MOST_SHOWN and rgb.size > 3 * 500_000:
            return
        yield slot, rgb


@pytest.mark.parametrize(("fps", "step"), [(PAL, 1), (SLOW, 3)])
def test_action_clips(shared: Path, fps: Fraction, step: int) -> None:
    folder, names = shared / "data", real(shared / "data", "actions/single")
    assert len(names) == 16
    slots = [compare(folder, name, fps) for name in names[::step] if name not in ELSEWHERE]
    assert min(slots) >= 2 * fps


def test_weizmann_clips(shared: Path) -> None:
    names = real(shared / "data", "actions/weizmann", step=5)
    assert len(names) == 10
    for name in names:
        assert compare(shared / "data", name, PAL) >= 25


def test_difficult_files(shared: Path) -> None:
    """What we refuse shows at most one frame in ffmpeg."""
    folder, n_read = shared / "data", 0
    for name in real(folder, "nasty"):
        if name in ELSEWHERE:
            continue
        try:
            n_read += compare(folder, name, PAL) > 0
        except VideoError as error:
            assert str(error).startswith(f"{folder / name}: ")
            assert len(list(theirs(folder / name, PAL))) <= 1
    assert n_read >= 15


def named(reason: str) -> list[str]:
    return sorted(name for name, why in ELSEWHERE.items() if why == reason)


@pytest.mark.parametrize("name", named(OWN_CLOCK))
def test_times_are_the_files_own(shared: Path, name: str) -> None:
    for fps in (PAL, SLOW):
        assert compare(shared / "data", name, fps, "-copyts") >= 10 * fps


@pytest.mark.parametrize("name", named(LONGER))
def test_the_last_frame_is_shown_to_its_end(shared: Path, name: str) -> None:
    found, expected = (list(show(shared / "data" / name, SLOW)) for show in (ours, theirs))
    n_more = len(found) - len(expected)
    assert 0 <= n_more <= 1
    assert assert_same(iter(found[: len(expected)]), iter(expected), LEVELS) >= 10
    assert all(rgb is found[-1][1] for _, rgb in found[len(expected) :])


@pytest.mark.parametrize("name", named(SITED))
def test_pictures_of_sited_chroma_are_the_nearest(shared: Path, name: str) -> None:
    found, expected = (list(show(shared / "data" / name, PAL)) for show in (ours, theirs))
    assert [slot for slot, _ in found] == [slot for slot, _ in expected]
    for i, (_, rgb) in enumerate(found):
        distances = [float(np.abs(rgb.astype(np.int16) - other).mean()) for _, other in expected]
        assert int(np.argmin(distances)) == i


@pytest.mark.parametrize("name", named(DAMAGED))
def test_damage_leaves_times_alone(shared: Path, name: str) -> None:
    found, expected = (list(show(shared / "data" / name, PAL)) for show in (ours, theirs))
    assert [slot for slot, _ in found] == [slot for slot, _ in expected]
    assert assert_same(iter(found[:70]), iter(expected[:70]), LEVELS) == 70
