"""Every flow engine against moved textures and Middlebury."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from extract import flow
from tal.types import ByteArray, FloatArray

USABLE = [name for name, reason in flow.available().items() if reason is None]
MOVES = [(2.0, 0.0), (-2.0, 0.0), (0.0, 2.0), (0.0, -2.0), (1.25, -0.5)]


def texture(n_frames: int, u: float, v: float, size: tuple[int, int] = (56, 72)) -> ByteArray:
    """A sum of waves, which can be moved by (u, v) px per frame exactly."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    waves = rng.uniform(-0.6, 0.6, (24, 2))
    phases = rng.uniform(0, 2 * np.pi, 24)
    frames = []
    for i in range(n_frames):
        value = sum(np.cos(kx * (x - i * u) + ky * (y - i * v) + p) for (kx, ky), p in zip(waves, phases, strict=True))
        frames.append(np.clip(128 + 16 * value, 0, 255))
    return np.round(frames).astype(np.uint8)


def read_flo(path: Path) -> FloatArray:
    """Middlebury's format: a float tag, width, height, then (u, v) per pixel, little-endian."""
    data = path.read_bytes()
    assert data[:4] == b"PIEH"
    width, height = np.frombuffer(data, "<i4", 2, 4)
    return np.frombuffer(data, "<f4", width * height * 2, 12).reshape(height, width, 2)


def read_gray(path: Path) -> ByteArray:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)


@pytest.fixture(scope="module", params=USABLE)
def engine(request: pytest.FixtureRequest) -> Any:
    with flow.load(request.param, workers=2) as backend:
        yield backend


class TestEveryEngine:
    def test_shape_and_type(self, engine: flow.FlowBackend) -> None:
        result = engine.pairs(texture(4, 1, 0))
        assert result.shape == (3, 56, 72, 2)
        assert result.dtype == np.float32

    @pytest.mark.parametrize("move", MOVES)
    def test_a_moved_texture_gives_its_motion_right_and_down(
        self, engine: flow.FlowBackend, move: tuple[float, float]
    ) -> None:
        result = engine.pairs(texture(3, *move))
        error = np.hypot(result[..., 0] - move[0], result[..., 1] - move[1])
        assert error.mean() < 0.1
        assert flow.motion_px(result) == pytest.approx(np.hypot(*move), abs=0.1)

    def test_pairs_are_in_order(self, engine: flow.FlowBackend) -> None:
        still, moved = texture(2, 2, 0)
        result = engine.pairs(np.stack([still, still, moved, moved]))
        assert np.allclose(result[..., 0].mean(axis=(1, 2)), [0, 2, 0], atol=0.1)

    @pytest.mark.parametrize("level", [0, 128, 255])
    def test_constant_frames_do_not_move(self, engine: flow.FlowBackend, level: int) -> None:
        assert not engine.pairs(np.full((3, 40, 48), level, np.uint8)).any()

    def test_a_tiny_frame_works(self, engine: flow.FlowBackend) -> None:
        result = engine.pairs(texture(2, 1, 0, (16, 16)))
        assert np.abs(result.mean(axis=(0, 1, 2)) - [1, 0]).max() < 0.3

    def test_a_small_frame_leaves_no_trace_in_the_next(self, engine: flow.FlowBackend) -> None:
        frames = texture(2, 4, 0)
        with flow.load(engine.name, workers=2) as fresh:
            expected = fresh.pairs(frames)
        engine.pairs(texture(3, 1, 0, (16, 16)))
        assert np.array_equal(engine.pairs(frames), expected)

    def test_workers_do_not_change_a_bit(self, engine: flow.FlowBackend) -> None:
        frames = texture(6, 1.5, 0.75)
        with flow.load(engine.name, workers=1) as alone:
            assert np.array_equal(alone.pairs(frames), engine.pairs(frames))

    def test_blocks_do_not_change_a_bit(self, engine: flow.FlowBackend) -> None:
        frames = texture(5, 1.5, 0.75)
        parts = [engine.pairs(frames[:3]), engine.pairs(frames[2:])]
        assert np.array_equal(np.concatenate(parts), engine.pairs(frames))

    def test_frames_need_not_be_contiguous(self, engine: flow.FlowBackend) -> None:
        frames = texture(2, 1, 0)
        wide = np.repeat(frames, 2, axis=2)
        assert np.array_equal(engine.pairs(wide[:, :, ::2]), engine.pairs(frames))

    def test_one_frame_has_no_pair(self, engine: flow.FlowBackend) -> None:
        result = engine.pairs(np.zeros((1, 20, 24), np.uint8))
        assert result.shape == (0, 20, 24, 2)
        assert result.dtype == np.float32

    @pytest.mark.parametrize(
        "frames",
        [np.zeros((2, 8, 8), np.float32), np.zeros((8, 8), np.uint8), np.zeros((0, 8, 8), np.uint8)],
        ids=["float", "two axes", "no frame"],
    )
    def test_what_is_no_gray_video_is_refused(self, engine: flow.FlowBackend, frames: Any) -> None:
        with pytest.raises(ValueError, match=r"gray frames must be uint8 \(F, H, W\), not "):
            engine.pairs(frames)

    def test_name(self, engine: flow.FlowBackend) -> None:
        assert flow.choose(engine.name) == engine.name


@pytest.mark.parametrize("name", USABLE)
class TestMiddlebury:
    def test_error_on_rubber_whale(self, shared: Path, name: str, record_property: Any) -> None:
        data = shared / "data/flow"
        folder = data / "middlebury/RubberWhale"
        frames = np.stack([read_gray(folder / f"frame{i}.png") for i in (10, 11)])
        with flow.load(name, workers=2) as backend:
            result = backend.pairs(frames)[0]
        truth = read_flo(folder / "flow10.flo")
        known = np.abs(truth).max(axis=-1) < 1e9
        assert np.hypot(*(result - truth)[known].T).mean() <= 0.17
        distance = np.hypot(*(result - read_flo(data / "opencv/tvl1_flow.flo")).reshape(-1, 2).T)
        record_property("mean_distance_to_stored_px", float(distance.mean()))
        assert distance.mean() < 0.05  # OpenCV 5 interpolates better than the version that wrote the file
        assert np.median(distance) < 0.02
