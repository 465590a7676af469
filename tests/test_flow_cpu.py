"""Flow on the CPU: what it computes is what the equations say, what OpenCV computes, and the motion that is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tvl1
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from moving import distance, opencv, solve, texture
from numpy.testing import assert_allclose

from extract.flow import _cpu
from extract.flow._tvl1 import QUALITIES, Parameters, pyramid_sizes
from tal.types import ByteArray

pytestmark = pytest.mark.skipif(_cpu.why_not() is not None, reason="needs Numba")
SHORT = Parameters(n_outer=2, n_inner=12)


class TestAgainstTheEquations:
    @pytest.mark.parametrize(
        "parameters",
        [
            replace(QUALITIES["exact"], n_outer=2),
            QUALITIES["default"],
            QUALITIES["fast"],
            replace(SHORT, median=1),
            replace(SHORT, n_scales=2, scale_step=0.5, n_warps=2),
            replace(SHORT, tau=0.1, lambda_=0.05, theta=0.5),
            replace(SHORT, epsilon=0.03, stop_every=5),
        ],
        ids=["exact, 2 rounds", "default", "fast", "no median", "halving", "other constants", "stops early"],
    )
    def test_agrees(self, parameters: Parameters) -> None:
        frames = texture((37, 51), 1.4, -0.8)
        error = distance(solve(frames, parameters)[0], tvl1.solve(*frames, parameters))
        assert error.mean() < 2e-4
        assert error.max() < 0.02

    @pytest.mark.parametrize(
        "size", [(16, 16), (17, 47), (20, 48), (21, 49), (33, 15), (7, 9), (3, 40), (1, 30), (30, 1)]
    )
    def test_any_size(self, size: tuple[int, int]) -> None:
        frames = texture(size, 0.6, 0.3)
        parameters = Parameters(n_outer=1, n_inner=7)
        assert distance(solve(frames, parameters)[0], tvl1.solve(*frames, parameters)).max() < 0.01

    @settings(max_examples=25, deadline=None)
    @given(
        frames=hnp.arrays(np.uint8, st.tuples(st.just(2), st.integers(1, 20), st.integers(1, 40))),
        n_inner=st.integers(1, 6),
    )
    def test_any_frames(self, frames: ByteArray, n_inner: int) -> None:
        parameters = Parameters(n_outer=1, n_inner=n_inner, n_warps=1)
        expected = tvl1.solve(*frames, parameters)
        assert_allclose(solve(frames, parameters)[0], expected, atol=2e-3 * max(1, np.abs(expected).max()))


class TestAgainstOpenCV:
    @pytest.mark.parametrize("parameters", [SHORT, replace(SHORT, n_outer=1, n_inner=40)], ids=["2 rounds", "1 round"])
    def test_texture(self, parameters: Parameters) -> None:
        frames = texture((50, 66), 2.3, 1.1)
        expected = opencv(*frames, parameters)
        assert distance(solve(frames, parameters)[0], expected).mean() < 1e-3
        assert distance(tvl1.solve(*frames, parameters), expected).mean() < 1e-3

    def test_stopping_after_every_iteration_is_its_rule(self) -> None:
        frames = texture((50, 66), 2.3, 1.1)
        parameters = Parameters(epsilon=0.01, stop_every=1)
        all_iterations = opencv(*frames, Parameters())
        expected = opencv(*frames, parameters)
        near = distance(solve(frames, parameters)[0], expected).mean()
        assert near < 0.1 * distance(expected, all_iterations).mean()

    @pytest.fixture
    def rubber_whale(self, shared: Path) -> ByteArray:
        folder = shared / "data/flow/middlebury/RubberWhale"
        frames = [cv2.imread(str(folder / f"frame{i}.png"), cv2.IMREAD_GRAYSCALE) for i in (10, 11)]
        return np.stack(frames).astype(np.uint8)  # type: ignore[arg-type]

    def test_rubber_whale(self, rubber_whale: ByteArray) -> None:
        part = np.ascontiguousarray(rubber_whale[:, 100:200, 180:300])
        expected = opencv(*part, Parameters())
        assert distance(solve(part, QUALITIES["exact"])[0], expected).mean() < 0.005
        farthest = distance(opencv(*part, Parameters(epsilon=0.01)), expected).mean()
        assert distance(solve(part, QUALITIES["default"])[0], expected).mean() <= farthest + 0.002


class TestFlow:
    @pytest.mark.parametrize("quality", QUALITIES)
    @pytest.mark.parametrize("move", [(3.0, 0.0), (0.0, -3.0), (-1.25, 0.75)])
    def test_a_moved_texture_gives_its_motion(self, quality: str, move: tuple[float, float]) -> None:
        result = solve(texture((60, 76), *move), QUALITIES[quality])[0]
        assert np.abs(np.median(result, axis=(0, 1)) - move).max() < 0.05
        assert distance(result, move).mean() < 0.15

    @pytest.mark.parametrize("quality", QUALITIES)
    @pytest.mark.parametrize("level", [0, 77, 255])
    def test_constant_frames_do_not_move(self, quality: str, level: int) -> None:
        assert not solve(np.full((3, 40, 50), level, np.uint8), QUALITIES[quality]).any()

    def test_black_to_white_is_finite(self) -> None:
        frames = np.zeros((2, 40, 50), np.uint8)
        frames[1] = 255
        assert np.isfinite(solve(frames, QUALITIES["default"])).all()

    def test_turned_frames_give_turned_flow(self) -> None:
        frames = texture((40, 56), 1.2, 0.4)
        turned = np.ascontiguousarray(frames.transpose(0, 2, 1))
        result, other = solve(frames, SHORT), solve(turned, SHORT)
        error = distance(other.transpose(0, 2, 1, 3)[..., ::-1], result)
        assert np.median(error) < 1e-3  # rounding differs, and near the border the flow hangs on it
        assert error.mean() < 0.02

    def test_fewer_iterations_where_the_flow_rests(self) -> None:
        from extract.flow._cpu_pair import PairSolver

        frames, flow = texture((40, 56), 1.5, 0.5), np.empty((40, 56, 2), np.float32)
        counts = []
        for epsilon in (0, 0.003, 0.01, 0.03, 100):
            solver = PairSolver(40, 56, Parameters(epsilon=epsilon))
            solver.solve(frames[0], frames[1], flow)
            counts.append(solver.n_iterations)
        n_warps = 5 * len(pyramid_sizes(40, 56, Parameters()))
        assert counts[0] == 300 * n_warps
        assert counts[-1] == 10 * n_warps
        assert counts == sorted(counts, reverse=True)
