"""The pass from frames to snippets: which frames, which flow, how much is held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.flow._base import FlowBackend
from extract.snippets import BLOCK, Frames, crop, n_snippets, network_input, prepared, views, windows
from tal.settings import ExtractSettings


class Difference(FlowBackend):
    """A stand-in whose 'flow' from one frame to the next is the difference of their gray values."""

    name = "difference"
    priority = 0

    @classmethod
    def why_not(cls) -> str | None:
        return None

    def _solve(self, gray: np.ndarray) -> np.ndarray:
        step = np.diff(gray.astype(np.float32), axis=0)
        return np.stack([step, -step], axis=-1)


def frames_of(values: list[int], side: int = 40) -> Iterator[np.ndarray]:
    for value in values:
        yield np.full((side, side, 3), value, np.uint8)


def numbered(n: int) -> Frames:
    index = np.arange(n)
    return Frames(
        np.broadcast_to(index[:, None, None, None] % 256, (n, 1, 1, 3)).astype(np.uint8),
        np.broadcast_to(index[:, None, None, None], (n, 1, 1, 2)).astype(np.float32),
        index.astype(np.float32),
    )


def expected(n: int, length: int, stride: int, pad: bool) -> list[list[int]]:
    """The documented rule, said in another way."""
    wanted = [list(range(s, s + length)) for s in range(0, n - length + 1, stride)]
    covered = wanted[-1][-1] + 1 if wanted else 0
    start = len(wanted) * stride
    if not wanted or (pad and covered < n and start < n):
        wanted.append([min(i, n - 1) for i in range(start, start + length)])
    return wanted


@given(
    n=st.integers(1, 90),
    length=st.integers(8, 20),
    stride=st.integers(1, 30),
    pad=st.booleans(),
    block=st.integers(1, 40),
)
def test_windows_are_the_documented_frames_however_blocks_fall(
    n: int, length: int, stride: int, pad: bool, block: int
) -> None:
    settings = ExtractSettings(length=length, stride=stride, tail="pad" if pad else "drop")
    whole = numbered(n)
    blocks = [whole[i : i + block] for i in range(0, n, block)]
    found = [one.motion.astype(int).tolist() for one in windows(blocks, settings)]
    assert found == expected(n, length, stride, pad)
    assert n_snippets(n, settings) == len(found)


@pytest.mark.parametrize("n", [1, 2, BLOCK, BLOCK + 1, BLOCK + 2, 3 * BLOCK])
def test_each_frame_carries_the_flow_to_its_successor_and_the_last_repeats(n: int) -> None:
    values = [(7 * i) % 50 for i in range(n)]
    settings = ExtractSettings(short_side=40, crop=0)
    blocks = list(prepared(frames_of(values), settings, Difference()))
    rgb = np.concatenate([b.rgb for b in blocks])[:, 0, 0, 0]
    flow = np.concatenate([b.flow for b in blocks])[:, 0, 0]
    assert rgb.tolist() == values
    steps = np.diff(values).tolist()
    steps += [steps[-1] if steps else 0]
    assert flow[:, 0] * 20 == pytest.approx(np.clip(steps, -20, 20), abs=1e-4)
    assert flow[:, 1] == pytest.approx(-flow[:, 0])


def test_motion_is_the_mean_magnitude_in_px_of_the_whole_frame() -> None:
    first, last = prepared(frames_of([0, 3]), ExtractSettings(short_side=40, crop=32), Difference())
    whole = first + last
    assert whole.motion == pytest.approx([3 * 2**0.5] * 2)
    assert whole.rgb.shape == (2, 32, 32, 3) and whole.flow.shape == (2, 32, 32, 2)


def test_a_long_video_is_never_held() -> None:
    """Frames are asked for only as snippets are consumed."""
    asked = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal asked
        while True:
            asked += 1
            yield np.zeros((32, 32, 3), np.uint8)

    settings = ExtractSettings(short_side=32, crop=0)
    stream = windows(prepared(endless(), settings, Difference()), settings)
    for i in range(1, 20):
        next(stream)
        assert asked <= 16 * i + 3 * BLOCK


def test_the_centre_is_cropped() -> None:
    frames = np.arange(10 * 12).reshape(1, 10, 12, 1)
    assert crop(frames, 4)[0, :, :, 0].tolist() == frames[0, 3:7, 4:8, 0].tolist()
    assert crop(frames, 0) is frames


def test_network_input_is_channels_first_in_minus_one_to_one() -> None:
    frames = Frames(np.full((16, 4, 5, 3), 255, np.uint8), np.full((16, 4, 5, 2), -1, np.float32), np.zeros(16))
    rgb, flow = network_input([frames] * 2, "rgb"), network_input([frames] * 2, "flow")
    assert rgb.shape == (2, 3, 16, 4, 5) and flow.shape == (2, 2, 16, 4, 5)
    assert rgb.min() == rgb.max() == 1 and flow.max() == -1
    dark = Frames(np.zeros((16, 4, 5, 3), np.uint8), frames.flow, frames.motion)
    assert network_input([dark], "rgb").min() == -1


def test_ten_crops_are_centre_and_corners_and_their_mirror_images() -> None:
    """Each pixel holds its row and column; motion to the right is motion to the left in the mirror."""
    rows, columns = np.mgrid[:40, :60]
    rgb = np.stack([rows, columns, columns], axis=-1).astype(np.uint8)[None]
    flow = np.stack([columns, rows], axis=-1).astype(np.float32)[None] / 100
    found = views(Frames(rgb, flow, np.zeros(1)), ExtractSettings(short_side=40, crop=32, crops="ten"))
    corners = [(4, 14), (0, 0), (0, 28), (8, 0), (8, 28)]
    assert [tuple(one.rgb[0, 0, 0, :2]) for one in found[:5]] == corners
    assert [tuple(one.rgb[0, 0, -1, :2]) for one in found[5:]] == corners
    for plain, mirrored in zip(found[:5], found[5:], strict=True):
        assert plain.rgb.shape == mirrored.rgb.shape == (1, 32, 32, 3)
        assert mirrored.flow[0, 3, 5].tolist() == [-plain.flow[0, 3, 26, 0], plain.flow[0, 3, 26, 1]]
