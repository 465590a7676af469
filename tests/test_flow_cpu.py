from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tvl1
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose

from extract.flow import _cpu
from extract.flow._cpu import CpuSolver
from extract.flow._tvl1 import QUALITIES, Parameters, pyramid_sizes
from tal.errors import BackendError
from tal.types import ByteArray, FloatArray

pytestmark = pytest.mark.skipif(_cpu.why_not() is not None, reason="needs Numba")

SHORT = Parameters(n_outer=2, n_inner=12)


def texture(size: tuple[int, int], u: float = 0, v: float = 0, n_frames: int = 2) -> ByteArray:
    """Waves of 8 to 80 px that move by (u, v) px per frame."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    value = np.zeros((n_frames, *size))
    for length, angle, phase in rng.uniform((8, 0, 0), (80, 7, 7), (20, 3)):
        kx, ky = 2 * np.pi / length * np.cos(angle), 2 * np.pi / length * np.sin(angle)
        value += [np.cos(kx * (x - i * u) + ky * (y - i * v) + phase) for i in range(n_frames)]
    return np.clip(np.round(128 + 18 * value), 0, 255).astype(np.uint8)


def solve(frames: ByteArray, parameters: Parameters, workers: int = 1) -> FloatArray:
    return CpuSolver(parameters, workers).solve(frames)


def opencv(frames: ByteArray, parameters: Parameters) -> FloatArray:
    optflow: Any = cv2.optflow
    solver = optflow.DualTVL1OpticalFlow_create(
        epsilon=parameters.epsilon, innnerIterations=parameters.n_inner, outerIterations=parameters.n_outer
    )
    return np.asarray(solver.calc(frames[0], frames[1], None), np.float32)


def distance(a: Any, b: Any) -> Any:
    """End point distances, px."""
    return np.hypot(*np.moveaxis(a - b, -1, 0))


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
        expected = opencv(frames, parameters)
        assert distance(solve(frames, parameters)[0], expected).mean() < 1e-3
        assert distance(tvl1.solve(*frames, parameters), expected).mean() < 1e-3

    def test_stopping_after_every_iteration_is_its_rule(self) -> None:
        frames = texture((50, 66), 2.3, 1.1)
        parameters = Parameters(epsilon=0.01, stop_every=1)
        all_iterations = opencv(frames, Parameters())
        expected = opencv(frames, parameters)
        near = distance(solve(frames, parameters)[0], expected).mean()
        assert near < 0.1 * distance(expected, all_iterations).mean()

    @pytest.fixture
    def rubber_whale(self, shared: Path) -> ByteArray:
        folder = shared / "data/flow/middlebury/RubberWhale"
        frames = [cv2.imread(str(folder / f"frame{i}.png"), cv2.IMREAD_GRAYSCALE) for i in (10, 11)]
        return np.stack(frames).astype(np.uint8)  # type: ignore[arg-type]

    def test_rubber_whale(self, rubber_whale: ByteArray) -> None:
        part = np.ascontiguousarray(rubber_whale[:, 100:200, 180:300])
        expected = opencv(part, Parameters())
        assert distance(solve(part, QUALITIES["exact"])[0], expected).mean() < 0.005
        farthest = distance(opencv(part, Parameters(epsilon=0.01)), expected).mean()
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


class TestNothingElseMatters:
    FRAMES = texture((35, 50), 1.5, 0.75, n_frames=7)

    @pytest.mark.parametrize("quality", ["default", "fast"])
    def test_workers_and_blocks(self, quality: str) -> None:
        whole = solve(self.FRAMES, QUALITIES[quality])
        assert np.array_equal(solve(self.FRAMES, QUALITIES[quality], workers=3), whole)
        pairs = [solve(self.FRAMES[i : i + 2], QUALITIES[quality])[0] for i in range(6)]
        assert np.array_equal(pairs, whole)

    def test_what_was_computed_before(self) -> None:
        solver = CpuSolver(QUALITIES["default"], 1)
        expected = solver.solve(self.FRAMES)
        solver.solve(texture((80, 19), 3, 3))
        assert np.array_equal(solver.solve(self.FRAMES), expected)
        solver.close()

    def test_how_many_iterations_run_behind_one_another(self) -> None:
        """Wide rows run fewer at a time; a look at the change cuts a round, too."""
        once = solve(self.FRAMES[:2], Parameters(n_outer=1, n_inner=12, stop_every=12))
        assert np.array_equal(solve(self.FRAMES[:2], Parameters(n_outer=1, n_inner=12, stop_every=1)), once)
        assert np.array_equal(solve(self.FRAMES[:2], Parameters(n_outer=1, n_inner=12, stop_every=5)), once)

    def test_large_frames_get_fewer_threads(self) -> None:
        solver = CpuSolver(QUALITIES["default"], 64)
        assert solver._n_threads(1000, 340 * 256) == 64
        assert solver._n_threads(5, 340 * 256) == 5
        assert solver._n_threads(1000, 3840 * 2160) == 3
        assert solver._n_threads(1000, 1 << 30) == 1


class TestMedian:
    def test_the_network_is_right_for_all_zeros_and_ones(self) -> None:
        """By the zero-one principle it is right for all values then."""
        from extract.flow._cpu_network import COLUMN, MEDIAN, REST

        bits = np.array(list(itertools.product((False, True), repeat=5))).T
        for i, j in COLUMN:
            bits[i], bits[j] = bits[i] & bits[j], bits[i] | bits[j]
        assert (np.diff(bits.astype(int), axis=0) >= 0).all()
        n_ones = np.array(list(itertools.product(range(6), repeat=5))).T  # of each column
        wires = [n_ones[column] >= 5 - rank for rank in range(5) for column in range(5)]
        for i, j in REST:
            wires[i], wires[j] = wires[i] & wires[j], wires[i] | wires[j]
        assert np.array_equal(wires[MEDIAN], n_ones.sum(axis=0) >= 13)

    @pytest.mark.parametrize("size", [(1, 1), (1, 20), (3, 2), (31, 16), (18, 37)])
    def test_it_is_opencvs(self, size: tuple[int, int]) -> None:
        import numba

        from extract.flow._cpu_iterations import PLANES, Grid
        from extract.flow._cpu_level import n_scratch, stride_of
        from extract.flow._cpu_median import smooth
        from extract.flow._cpu_vectors import address

        grid = Grid(*size, stride_of(size[1]))
        state = np.zeros((size[0] + 1, PLANES, grid.stride), np.float32)
        planes = np.random.default_rng(1).normal(size=(2, *size)).astype(np.float32)
        state[1:, :2, : size[1]] = planes.transpose(1, 0, 2)

        @numba.njit
        def run(state: Any, scratch: Any) -> None:
            smooth(address(state), address(scratch), grid)

        run(state.ravel(), np.zeros(n_scratch(grid), np.float32))
        for i, plane in enumerate(planes):
            assert np.array_equal(state[1:, i, : size[1]], cv2.medianBlur(plane, 5).reshape(size))


class TestSetUp:
    def test_a_median_of_another_side_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^the median filter has side 1 or 5 here, not 3$"):
            CpuSolver(Parameters(median=3), 1)

    def test_without_numba(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "numba", None)
        assert _cpu.why_not() == "Numba is not installed; pip install numba"

    def test_with_a_numba_that_does_not_load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "numba", None)
        with pytest.raises(BackendError) as caught:
            _cpu.CpuSolver(Parameters(), 1)
        assert str(caught.value) == (
            "Numba is installed but does not load (import of numba halted; None in sys.modules); "
            "choose flow backend 'opencv'"
        )

    def test_importing_it_loads_no_numba(self) -> None:
        code = "import sys; from extract.flow import _cpu; print('numba' in sys.modules)"
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert shown.stdout == "False\n"

    def test_where_nothing_can_be_kept_functions_are_still_compiled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import numba

        from extract.flow import _cpu_compile

        def refuse(**options: bool) -> Any:
            if options.get("cache"):
                raise RuntimeError("cannot cache function: no locator available")
            return numba.njit()

        monkeypatch.setattr(_cpu_compile, "_compiler", refuse)
        assert _cpu_compile.kernel(lambda x: x + 1)(2) == 3
