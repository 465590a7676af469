"""The flow engine for PyTorch's devices, on the CPU; its kernels have their tests in ``test_flow_kernels.py``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import tvl1
from moving import SHORT, distance, moved, opencv, random

from extract.flow import _gpu, _gpu_cuda
from extract.flow._gpu import TorchSolver
from extract.flow._gpu_median import Step, after_columns, network
from extract.flow._gpu_pyramid import gradient, resize, solve
from extract.flow._gpu_torch import TorchLevel, median, sample, with_gradient
from extract.flow._tvl1 import Parameters
from tal.errors import BackendError

SIZES = [(256, 340), (57, 73), (41, 33), (20, 16)]


class TestSteps:
    """Every step against OpenCV's function of the same name."""

    @pytest.mark.parametrize("size", SIZES)
    def test_a_level_is_scaled_as_opencv_does(self, size: tuple[int, int]) -> None:
        image = random(1, *size, scale=80)
        small = cv2.resize(image[0].numpy(), None, fx=0.8, fy=0.8)
        assert np.abs(resize(image, small.shape[:2], 0.8)[0].numpy() - small).max() < 1e-3  # type: ignore[arg-type]
        back = cv2.resize(small, size[::-1])
        assert np.abs(resize(torch.from_numpy(small)[None], size)[0].numpy() - back).max() < 1e-3

    @pytest.mark.parametrize("size", [*SIZES, (1, 9), (8, 1), (2, 2)])
    @pytest.mark.parametrize("side", [3, 5])
    def test_median(self, size: tuple[int, int], side: int) -> None:
        images = random(2, *size)
        expected = np.stack([cv2.medianBlur(image.numpy(), side) for image in images])
        assert np.array_equal(median(images, side).numpy(), expected)

    @pytest.mark.parametrize("reach", [0.3, 9.0, 1e6])
    def test_sampling_is_bicubic_with_zeros_outside(self, reach: float) -> None:
        image, u = random(1, 40, 50, scale=80), random(2, 1, 40, 50, scale=reach)
        y, x = np.mgrid[:40, :50].astype(np.float32)
        places = (x + u[0, 0].numpy(), y + u[1, 0].numpy())
        expected = cv2.remap(image[0].numpy(), *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
        # Older OpenCV rounds positions to 1/32 px.
        tolerance = 1e-3 if int(cv2.__version__.partition(".")[0]) >= 5 else 20
        assert np.abs(sample(with_gradient(image), u)[0, 0].numpy() - expected).max() < tolerance

    def test_strips_do_not_change_a_bit(self) -> None:
        images, u = random(2, 1300, 130), random(2, 2, 1300, 130, scale=4)  # two frames make strips of 1008 rows
        filtered, sampled = median(images, 5), sample(with_gradient(images), u)
        assert torch.equal(median(images[:, 990:1050], 5)[:, 10:50], filtered[:, 1000:1040])
        assert torch.equal(sample(with_gradient(images[:1]), u[:, :1]), sampled[:, :1])  # one frame is one strip

    def test_gradient_of_a_parabola(self) -> None:
        x = torch.arange(6.0)
        gx, gy = gradient((x**2).expand(1, 4, 6))
        assert gx[0, 0].tolist() == [0.5, 2, 4, 6, 8, 4.5]
        assert not gy.any()

    def test_gradient_of_one_pixel(self) -> None:
        assert [part.tolist() for part in gradient(torch.ones(1, 1, 1))] == [[[[0.0]]], [[[0.0]]]]


class TestNetwork:
    @staticmethod
    def run(steps: list[Step], wires: list[Any]) -> None:
        for low, high, keep_low, keep_high in steps:
            a, b = wires[low], wires[high]
            wires[low] = a & b if keep_low else ~b  # a wire that nobody reads may hold anything
            wires[high] = a | b if keep_high else ~a

    @staticmethod
    def at_least(n_ones: int, planes: list[Any]) -> Any:
        """Count the planes' bits with binary adders; bit 5 of 32 - n_ones + count says whether there are enough."""
        counter = [planes[0] * 0 if not (32 - n_ones) >> i & 1 else ~(planes[0] * 0) for i in range(6)]
        for carry in planes:
            for i in range(6):
                counter[i], carry = counter[i] ^ carry, counter[i] & carry  # noqa: PLW2901
        return counter[5]

    @pytest.mark.parametrize("side", [3, 5])
    def test_it_is_right_for_all_inputs_of_zeros_and_ones(self, side: int) -> None:
        """So it is right for all inputs (0-1 principle; D. Knuth, volume 3, section 5.3.4): 64 of them per word."""
        n = side * side
        words = np.arange(1 << (n - 6), dtype=np.uint64)
        inputs = [np.full(len(words), sum(1 << k for k in range(64) if k >> i & 1), np.uint64) for i in range(6)]
        inputs += [np.uint64(0) - (words >> np.uint64(i) & np.uint64(1)) for i in range(n - 6)]
        steps, wire = network(side)
        wires = list(inputs)
        self.run(steps, wires)
        assert np.array_equal(wires[wire], self.at_least(n // 2 + 1, inputs))

    @pytest.mark.parametrize("side", [3, 5])
    def test_every_step_counts(self, side: int) -> None:
        steps, wire = after_columns(side)
        assert all(step.keep_low or step.keep_high for step in steps)
        assert steps[-1].keep_low != steps[-1].keep_high
        assert wire in steps[-1][:2]


class TestPlainOperations:
    @pytest.mark.parametrize(("n_warps", "n_outer", "epsilon"), [(2, 3, 0), (1, 10, 0.05)])
    def test_it_is_opencv_to_rounding(self, n_warps: int, n_outer: int, epsilon: float) -> None:
        frames = moved(2)
        p = Parameters(n_scales=1, n_warps=n_warps, n_outer=n_outer, epsilon=epsilon, stop_every=1)
        found = solve(torch.from_numpy(frames), p, TorchLevel)[0]
        assert distance(found, opencv(*frames, p)).max() < (1e-3 if int(cv2.__version__[0]) >= 5 else 0.5)

    @pytest.mark.parametrize("epsilon", [0, 0.05])
    def test_it_is_the_reference(self, epsilon: float) -> None:
        frames, p = moved(2, (24, 33)), replace(SHORT, n_outer=2, epsilon=epsilon, stop_every=3)
        found = solve(torch.from_numpy(frames), p, TorchLevel)[0]
        assert distance(found, tvl1.solve(*frames, p)).max() < 1e-3

    def test_all_scales(self) -> None:
        frames, p = moved(2, (64, 60), 3), Parameters(n_outer=1, n_inner=10)
        found = solve(torch.from_numpy(frames), p, TorchLevel)[0]
        assert distance(found, opencv(*frames, p)).mean() < 0.02
        assert np.median(found[..., 0]) == pytest.approx(-3, abs=0.02)

    @pytest.mark.parametrize("n_side", [1, 3])
    def test_other_medians(self, n_side: int) -> None:
        frames, p = moved(2), Parameters(n_scales=1, n_warps=1, n_outer=2, n_inner=5, median=n_side)
        found = solve(torch.from_numpy(frames), p, TorchLevel)[0]
        assert distance(found, opencv(*frames, p)).mean() < 0.02

    def test_each_pair_stops_by_itself(self) -> None:
        frames = torch.from_numpy(np.concatenate([moved(2, (30, 34)), moved(3, (30, 34), step=2)]))
        p = replace(SHORT, n_outer=3, epsilon=0.05, stop_every=3)
        together = solve(frames, p, TorchLevel)
        unstopped = solve(frames, replace(p, epsilon=0), TorchLevel)
        assert not torch.equal(together, unstopped)
        for i in range(4):
            assert torch.equal(solve(frames[i : i + 2], p, TorchLevel)[0], together[i])

    def test_it_looks_every_so_often_and_after_each_round(self) -> None:
        """With any change small enough, a warp ends at the first look."""
        frames, p = torch.from_numpy(moved(2, (16, 16))), Parameters(n_warps=1, epsilon=1e9)
        for every, n_looked in ((1, 1), (4, 4), (7, 7), (9, 7)):
            found = solve(frames, replace(p, n_inner=7, stop_every=every), TorchLevel)
            assert torch.equal(found, solve(frames, Parameters(n_warps=1, n_outer=1, n_inner=n_looked), TorchLevel))


def on_cpu(budget_bytes: int = 0) -> TorchSolver:
    return TorchSolver(SHORT, "cpu", budget_bytes)


class TestSolver:
    def test_shape_type_and_motion(self) -> None:
        found = on_cpu().solve(moved(4))
        assert found.shape == (3, 32, 36, 2)
        assert found.dtype == np.float32
        assert np.median(found.reshape(-1, 2), axis=0) == pytest.approx([-1, 0], abs=0.1)

    def test_tensors_in_and_out(self) -> None:
        frames = moved(3)
        assert np.array_equal(on_cpu().solve_tensor(torch.from_numpy(frames)).numpy(), on_cpu().solve(frames))

    def test_one_frame_has_no_pair(self) -> None:
        assert on_cpu().solve(moved(1)).shape == (0, 32, 36, 2)

    @pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (8, 8), (17, 31)])
    def test_small_and_odd_frames(self, size: tuple[int, int]) -> None:
        found = on_cpu().solve(np.random.default_rng(0).integers(0, 256, (3, *size), np.uint8))
        assert found.shape == (2, *size, 2)
        assert np.isfinite(found).all()

    @pytest.mark.parametrize("level", [0, 128, 255])
    def test_constant_frames_do_not_move(self, level: int) -> None:
        assert not on_cpu().solve(np.full((3, 40, 48), level, np.uint8)).any()

    def test_batches_do_not_change_a_bit(self) -> None:
        frames = np.concatenate([moved(3), moved(3, step=2)])
        expected = on_cpu().solve(frames)
        for budget_bytes in (1, 3 * 32 * 36 * _gpu.BYTES_PER_PIXEL["operations"]):
            assert np.array_equal(on_cpu(budget_bytes).solve(frames), expected)
        assert np.array_equal(np.concatenate([on_cpu().solve(frames[:3]), on_cpu().solve(frames[2:])]), expected)

    def test_the_budget_decides_the_batch(self) -> None:
        pair = 32 * 36 * _gpu.BYTES_PER_PIXEL["operations"]
        assert [on_cpu(n)._n_pairs(32 * 36) for n in (1, pair, 2 * pair - 1, 9 * pair)] == [1, 1, 1, 9]
        assert on_cpu(1 << 50)._n_pairs(32 * 36) == _gpu_cuda.MAX_PAIRS
        assert on_cpu(1 << 50)._n_pairs(256 * 340) == _gpu.MAX_PIXELS // (256 * 340)
        assert 3840 * 2160 * _gpu.BYTES_PER_PIXEL["operations"] < _gpu.CPU_BYTES

    def test_memory_that_runs_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        frames, solver = np.concatenate([moved(3), moved(3, step=2)]), on_cpu()
        expected, sizes = solver.solve(frames), []

        def scarce(frames: torch.Tensor, *rest: Any) -> torch.Tensor:
            sizes.append(len(frames) - 1)
            if len(frames) > 2:
                raise torch.OutOfMemoryError
            return solve(frames, *rest)

        monkeypatch.setattr(_gpu, "solve", scarce)
        assert np.array_equal(solver.solve(frames), expected)
        assert sizes == [5, 2, 1, 1, 1, 1, 1]
        assert solver.notes == ["flow on cpu: memory ran out with 5 pairs of 36x32 px; going on with fewer"]

    def test_memory_for_no_pair(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def none(*_: Any) -> torch.Tensor:
            raise torch.OutOfMemoryError

        monkeypatch.setattr(_gpu, "solve", none)
        text = "^flow on cpu: memory is too small for one pair of 36x32 px; use --device cpu$"
        with pytest.raises(BackendError, match=text):
            on_cpu().solve(moved(2))

    def test_a_device_that_is_not_there(self) -> None:
        with pytest.raises(BackendError, match=r"^device 'cuda:63' is not on this machine; .*--device cpu works$"):
            TorchSolver(SHORT, "cuda:63")

    def test_what_the_kernels_cannot(self) -> None:
        assert _gpu_cuda.why_not(Parameters()) is None
        assert _gpu_cuda.why_not(Parameters(median=3)) == "they have no median filter of 3 px"
