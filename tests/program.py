"""The ffmpeg program as a reference: what it shows, slot by slot, against what we show."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from extract.video import ResampledVideo, open_video

FFMPEG = "ffmpeg"
PAL, SLOW = Fraction(25), Fraction(10)
LEVELS = 2
"""By so many levels may pictures differ of codecs whose inverse transform ffmpeg computes otherwise (XviD, WMV)."""
Shown = tuple[int, np.ndarray]
"""An output slot and its RGB picture (H, W, 3)."""


def need_ffmpeg() -> None:
    """Skip the running test where there is no ffmpeg; fail it with ``TAL_REQUIRE_FFMPEG=1``."""
    if shutil.which(FFMPEG) is None:
        (pytest.fail if os.environ.get("TAL_REQUIRE_FFMPEG") == "1" else pytest.skip)("needs the program 'ffmpeg'")


@pytest.fixture(autouse=True)
def needed() -> None:
    """Every test needs ffmpeg."""
    need_ffmpeg()


def ffmpeg(*arguments: object, sent: bytes | None = None) -> bytes:
    """Run ffmpeg, which must succeed; return what it writes to its standard output."""
    command = [FFMPEG, "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, input=sent).stdout


@cache
def encoders() -> frozenset[str]:
    """Return the names of ffmpeg's encoders."""
    return frozenset(line.split()[1] for line in ffmpeg("-encoders").decode().splitlines() if line.startswith(" V"))


def theirs(path: Path, fps: Fraction, *options: str, with_sound: bool = False) -> Iterator[Shown]:
    """Yield what ``ffmpeg -vf fps=`` shows; NUT carries pictures and timestamps through the pipe.

    `with_sound` reads the sound, too: of MPEG-TS, time 0 is the start of the earliest stream that ffmpeg reads.
    """
    command = [FFMPEG, "-v", "quiet", "-nostdin", *options, "-i", str(path), "-map", "0:v:0", "-map_metadata", "-1"]
    command += ["-vf", f"fps={fps}", "-fps_mode", "passthrough", "-avoid_negative_ts", "disabled"]
    command += ["-c:v", "rawvideo", "-pix_fmt", "rgb24", "-f", "nut", "pipe:1"]
    command += ["-map", "0:a:0", "-f", "null", "-"] if with_sound else []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            with av.open(process.stdout, format="nut") as container:
                yield from _pictures(container, fps)
        except av.error.InvalidDataError:
            return  # it found nothing to write
        finally:
            process.kill()


def _pictures(container: Any, fps: Fraction) -> Iterator[Shown]:
    stream = container.streams.video[0]
    for packet in container.demux(stream):
        if packet.size:
            rgb = np.frombuffer(bytes(packet), np.uint8).reshape(stream.height, stream.width, 3)
            yield int(packet.pts * packet.time_base * fps), rgb


def unscaled(path: Path, fps: Fraction) -> ResampledVideo:
    """Open a video so that its pictures keep their size."""
    info = open_video(path, fps, 1).info
    return open_video(path, fps, min(info.width, info.height))


def ours(path: Path, fps: Fraction) -> Iterator[Shown]:
    """Yield what we show."""
    video = unscaled(path, fps)
    for i, rgb in enumerate(video):
        yield video.offset + i, rgb


def difference(a: np.ndarray, b: np.ndarray) -> int:
    """Return by how many levels two pictures differ at most."""
    return 0 if np.array_equal(a, b) else int(np.abs(a.astype(np.int16) - b).max())


def assert_same(found: Iterator[Shown], expected: Iterator[Shown], levels: int) -> int:
    """Compare slot by slot; return how many there are."""
    n_slots = 0
    for one, other in zip_longest(found, expected):
        assert one is not None, f"ffmpeg shows more than our {n_slots} slots"
        assert other is not None, f"ffmpeg shows no more than {n_slots} slots"
        assert one[0] == other[0]
        assert one[1].shape == other[1].shape
        assert difference(one[1], other[1]) <= levels, f"slot {one[0]} shows something else"
        n_slots += 1
    return n_slots
