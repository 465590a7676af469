"""Flow on the CPU: workers and order change nothing, its median is one, and when it cannot be had."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pytest
from moving import solve, texture

from extract.flow import _cpu
from extract.flow._cpu import CpuSolver
from extract.flow._tvl1 import QUALITIES, Parameters
from tal.errors import BackendError

pytestmark = pytest.mark.skipif(_cpu.why_not() is not None, reason="needs Numba")


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
