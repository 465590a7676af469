"""The CUDA kernels of the flow engine: compiled for GPUs and, on a GPU, run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from moving import SHORT, both, distance, moved

from extract.flow import _gpu, _gpu_cuda, _gpu_nvrtc
from extract.flow._gpu import TorchSolver
from extract.flow._gpu_cuda import CudaLevel
from extract.flow._gpu_pyramid import solve
from extract.flow._gpu_torch import TorchLevel
from extract.flow._tvl1 import QUALITIES, Parameters
from tal.errors import BackendError

KERNELS = ("warp", "median", "iterate", "judge", "settle")


class TestNvrtc:
    @pytest.fixture(autouse=True)
    def _needs_nvrtc(self) -> None:
        try:
            _gpu_nvrtc._nvrtc()
        except BackendError as error:
            pytest.skip(str(error))

    @pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
    def test_it_takes_the_kernels(self, architecture: str) -> None:
        cubin = _gpu_nvrtc.compile_source(_gpu_cuda.source(Parameters()), architecture)
        assert cubin[:4] == b"\x7fELF"
        assert all(f".text.{name}".encode() in cubin for name in KERNELS)

    def test_nothing_is_spilled_from_registers(self, tmp_path: Path) -> None:
        tool = Path(pytest.importorskip("triton").__file__).parent / "backends/nvidia/bin/cuobjdump"
        if not tool.exists():
            pytest.skip("needs the cuobjdump of Triton's package")
        cubin = tmp_path / "flow.cubin"
        cubin.write_bytes(_gpu_nvrtc.compile_source(_gpu_cuda.source(Parameters()), "sm_90"))
        shown = subprocess.run([tool, "-res-usage", cubin], capture_output=True, text=True, check=True)
        usage = dict(re.findall(r"Function (\w+):\s+REG:\d+ STACK:(\d+)", shown.stdout))
        assert usage == dict.fromkeys(KERNELS, "0")

    def test_a_refusal_is_one_line(self) -> None:
        with pytest.raises(BackendError, match=r"^NVRTC refuses the flow kernels for sm_90: .*nonsense.*[^\n]$"):
            _gpu_nvrtc.compile_source("nonsense;", "sm_90")


@pytest.mark.gpu
class TestOnGpu:
    @pytest.fixture(autouse=True)
    def _needs_cuda(self) -> None:
        if not torch.cuda.is_available():
            (pytest.fail if os.environ.get("TAL_REQUIRE_GPU") == "1" else pytest.skip)("needs a CUDA device")

    def test_own_kernels_are_used(self) -> None:
        solver = TorchSolver(Parameters(), "cuda")
        assert (solver.kernels, solver.notes) == ("kernels", [])

    @pytest.mark.parametrize("size", [(256, 340), (57, 73), (8, 8), (1, 40)])
    @pytest.mark.parametrize("quality", ["default", "fast"])
    def test_kernels_and_operations_agree(self, size: tuple[int, int], quality: str) -> None:
        frames, p = torch.from_numpy(moved(4, size)).cuda(), QUALITIES[quality]
        own, plain = TorchSolver(p, "cuda").solve_tensor(frames), solve(frames, p, TorchLevel)
        assert distance(own.cpu(), plain.cpu()).mean() < 0.02  # rounding grows where frames leave the picture

    def test_iterations_agree_to_rounding(self) -> None:
        plain, own = both(CudaLevel, (150, 190), "cuda:0")
        for level in (plain, own):
            level.iterate()
            level.smooth()
            level.iterate()
        assert (plain.flow() - own.flow()).abs().max() < 1e-3

    def test_cpu_and_gpu_agree(self) -> None:
        frames, p = moved(3, (64, 80)), QUALITIES["default"]
        assert distance(TorchSolver(p, "cuda").solve(frames), TorchSolver(p, "cpu").solve(frames)).mean() < 0.005

    @pytest.mark.parametrize("quality", QUALITIES)
    def test_batches_do_not_change_a_bit(self, quality: str) -> None:
        frames, p = np.concatenate([moved(4, (100, 140)), moved(3, (100, 140), 2)]), QUALITIES[quality]
        expected = TorchSolver(p, "cuda").solve(frames)
        assert np.array_equal(TorchSolver(p, "cuda", 1).solve(frames), expected)
        assert np.array_equal(TorchSolver(p, "cuda").solve(frames[2:5]), expected[2:4])
        assert np.array_equal(TorchSolver(p, "cuda").solve(frames), expected)

    def test_4k_frames(self) -> None:
        solver = TorchSolver(SHORT, "cuda")
        torch.cuda.reset_peak_memory_stats()
        found = solver.solve_tensor(torch.from_numpy(moved(2, (2160, 3840))).cuda())
        assert torch.isfinite(found).all()
        assert torch.cuda.max_memory_allocated() < 2160 * 3840 * _gpu.BYTES_PER_PIXEL["kernels"]
