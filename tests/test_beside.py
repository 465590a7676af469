"""The watch over what a library shows beside PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import oddities
import pytest

from extract.decoders import pyav
from extract.decoders._base import Tally, TimedFrame
from extract.decoders._beside import EVERY, LIMIT, Library, beside
from tal.errors import VideoError


class Tampered:
    """The right pictures of a file, tampered with."""

    def __init__(self, path: Path) -> None:
        self.path, self.pictures = path, [frame.rgb() for frame in pyav.Backend().frames(path)]

    def read(self, pictures: list[np.ndarray]) -> list[TimedFrame]:
        return list(beside(Library("tampered", self.path, iter(pictures), np.copy), Tally()))

    def refused(self, pictures: list[np.ndarray]) -> str:
        with pytest.raises(VideoError) as caught:
            self.read(pictures)
        return str(caught.value).removeprefix(f"{self.path}: tampered ").removesuffix("; use the decoder 'pyav'")


@pytest.fixture
def drifting(tmp_path: Path) -> Tampered:
    """A soft pattern that moves 1 px per frame, so that neighbours differ little."""
    path = tmp_path / "a.mkv"
    wave = (128 + 40 * np.sin(np.arange(160) / 6)).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "bgr0"
        for i in range(60):
            rgb = np.broadcast_to(np.roll(wave, i)[None, :, None], (120, 160, 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")))
        container.mux(stream.encode(None))
    return Tampered(path)


def test_right_pictures_pass_the_watch(drifting: Tampered) -> None:
    frames = drifting.read(drifting.pictures)
    assert [frame.time_s for frame in frames] == [Fraction(i, 25) for i in range(60)]
    assert all(np.array_equal(frame.rgb(), picture) for frame, picture in zip(frames, drifting.pictures, strict=True))


@pytest.mark.parametrize("lost", [0, 1, 7, 30, 55])
def test_the_watch_notices_a_lost_frame_though_a_repeated_one_fills_the_count(drifting: Tampered, lost: int) -> None:
    kept = [*drifting.pictures[:lost], *drifting.pictures[lost + 1 :]]
    assert np.abs(kept[lost].astype(int) - drifting.pictures[lost]).mean() < LIMIT  # too little to tell by itself
    assert drifting.refused([*kept, kept[-1]]).startswith("shows a wrong picture at ")


def test_the_watch_notices_a_missing_end(drifting: Tampered) -> None:
    assert drifting.refused(drifting.pictures[:-1]) == "ends after 59 frames, where there are more"
    assert drifting.refused([]) == "cannot decode it"


@pytest.mark.parametrize("repeated", [5, 40, 58])
def test_the_watch_notices_a_repeated_picture(drifting: Tampered, repeated: int) -> None:
    pictures = list(drifting.pictures)
    pictures[repeated + 1] = pictures[repeated]
    assert drifting.refused(pictures) == f"shows a wrong picture at {(repeated + 1) / 25:.2f} s"


def test_the_watch_looks_now_and_then(drifting: Tampered) -> None:
    """A frame is lost and a new one that is no exact repetition fills the count."""
    pictures = drifting.pictures
    nearly = pictures[51] ^ 1
    time_s = EVERY / 25
    late = [*pictures[:20], *pictures[21:52], nearly, *pictures[52:]]
    assert drifting.refused(late) == f"shows a wrong picture at {time_s:.2f} s"


def test_the_watch_notices_wrong_colours(drifting: Tampered) -> None:
    assert drifting.refused([picture // 2 for picture in drifting.pictures]) == "shows a wrong picture at 0.00 s"


def test_still_pictures_are_no_repeats(tmp_path: Path) -> None:
    path = oddities.plain(tmp_path / "a.mkv", (150, 100, 170))
    still = Tampered(path)
    assert len(still.read(still.pictures)) == 3
