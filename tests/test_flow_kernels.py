"""The CUDA kernels of the flow engine, run on the CPU as C++."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from moving import SHORT, both, distance, moved, random

from extract.flow import _gpu_cuda
from extract.flow._gpu_cuda import CudaLevel
from extract.flow._gpu_pyramid import solve
from extract.flow._gpu_torch import TorchLevel
from extract.flow._tvl1 import Parameters


class Emulator:
    """Runs the kernels as C++; `backwards` reverses the order of a block's threads."""

    def __init__(self, library: ctypes.CDLL, backwards: bool) -> None:
        self.library, self.backwards = library, backwards

    n_multiprocessors = 1  # so that blocks have several tiles and pairs

    def prepare(self, name: str, grid: tuple[int, int, int], n_threads: int, *arguments: Any) -> Callable[[], None]:
        tensors = [a for a in arguments if isinstance(a, torch.Tensor)]
        assert all(t.is_contiguous() and t.dtype in (torch.float32, torch.int32) for t in tensors)
        assert all(0 < n < 65536 for n in grid)
        addresses = (ctypes.c_void_p * len(tensors))(*(t.data_ptr() for t in tensors))
        integers = [a for a in arguments if isinstance(a, int)]
        numbers = (ctypes.c_int * len(integers))(*integers)
        which = ("warp", "median", "iterate", "judge", "settle").index(name)
        size = (ctypes.c_int * 3)(*grid)
        return lambda: self.library.launch(which, size, n_threads, self.backwards, addresses, numbers)


STOPPING = replace(SHORT, n_scales=2, n_outer=2, epsilon=0.05, stop_every=3)
Levels = Callable[..., type[CudaLevel]]


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("g++")
    if found is None or os.name == "nt":
        pytest.skip("needs g++")
    return found


@pytest.fixture(scope="module", params=[(2, 12), (4, 4)], ids=["24 px tiles", "16 px tiles"])
def small_tiles(
    request: pytest.FixtureRequest, compiler: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, int, ctypes.CDLL]:
    """Rows and warps of small tiles, so that small frames have many, and the kernels for them as C++."""
    rows, warps = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_gpu_cuda, "ROWS", rows)
        patch.setattr(_gpu_cuda, "WARPS", warps)
        return rows, warps, build(compiler, tmp_path_factory.mktemp("kernels"), STOPPING)


@pytest.fixture
def emulated(small_tiles: tuple[int, int, ctypes.CDLL], monkeypatch: pytest.MonkeyPatch) -> Iterator[Levels]:
    """Makes levels whose kernels run as C++."""
    rows, warps, library = small_tiles
    values = {"ROWS": rows, "WARPS": warps, "TILE": (rows * warps, 64), "MAX_HALO": 5}
    for name, value in values.items():
        monkeypatch.setattr(_gpu_cuda, name, value)
    tiling = _gpu_cuda.tiling
    tiling.cache_clear()

    def levels(backwards: bool = False) -> type[CudaLevel]:
        return emulating(library, backwards)

    yield levels
    tiling.cache_clear()


def emulating(library: ctypes.CDLL, backwards: bool = False) -> type[CudaLevel]:
    return type("Emulated", (CudaLevel,), {"_kernels": lambda self, device: Emulator(library, backwards)})


def build(compiler: str, folder: Path, parameters: Parameters) -> ctypes.CDLL:
    kernels, library = folder / "kernels.cu", folder / "kernels.so"
    kernels.write_text(_gpu_cuda.source(parameters))
    options = ["-O1", "-w", "-shared", "-fPIC", "-ffp-contract=off", "-U_FORTIFY_SOURCE", f'-DKERNELS="{kernels}"']
    subprocess.run([compiler, *options, "-o", library, Path(__file__).with_name("emulated_cuda.cpp")], check=True)
    return ctypes.CDLL(str(library))


class TestKernels:
    """The CUDA kernels, run as C++, against PyTorch's operations."""

    @pytest.mark.parametrize("size", [(70, 150), (33, 64), (16, 65), (5, 3), (1, 130), (90, 1)])
    def test_iterations(self, emulated: Levels, size: tuple[int, int]) -> None:
        plain, own = both(emulated(), size)
        plain.iterate()
        own.iterate()
        assert (plain.flow() - own.flow()).abs().max() < 1e-4
        assert (plain.px[0] - own.p[own.side_p][..., 0]).abs().max() < 1e-4
        assert (plain.py[1] - own.p[own.side_p][..., 3]).abs().max() < 1e-4

    @pytest.mark.parametrize("size", [(19, 41), (5, 3), (1, 33), (9, 1)])
    def test_warp_and_median(self, emulated: Levels, size: tuple[int, int]) -> None:
        plain, own = both(emulated(), size)
        expected, own.coef = own.coef, torch.zeros_like(own.coef)
        own.warp()
        close = {"rtol": 1e-4, "atol": 1e-3}  # grey levels; the last one is -1 / gradient^2
        assert torch.allclose(own.coef[..., :3], expected[..., :3], **close)
        assert torch.allclose(1 / own.coef[..., 3], 1 / expected[..., 3], rtol=1e-3, atol=1e-2)
        plain.smooth()
        own.smooth()
        assert torch.equal(plain.flow(), own.flow())

    def test_far_flow_reads_nothing(self, emulated: Levels) -> None:
        far = torch.full((2, 1, 9, 11), 1e9)
        far[0] *= -1
        level = emulated()(random(1, 9, 11), random(1, 9, 11), far, SHORT)
        level.warp()
        assert not level.coef[..., 1:3].any()

    def test_whole_solver(self, emulated: Levels) -> None:
        frames = torch.from_numpy(moved(3, (41, 149)))
        found, expected = solve(frames, SHORT, emulated()), solve(frames, SHORT, TorchLevel)
        assert distance(found, expected).mean() < 1e-4
        assert torch.equal(solve(frames[1:], SHORT, emulated())[0], found[1])

    @pytest.mark.parametrize("p", [SHORT, STOPPING], ids=["all", "stopping"])
    def test_no_barrier_is_missing(self, emulated: Levels, p: Parameters) -> None:
        frames = torch.from_numpy(moved(2, (41, 99)))
        assert torch.equal(solve(frames, p, emulated()), solve(frames, p, emulated(backwards=True)))

    def test_pairs_that_rest(self, emulated: Levels) -> None:
        frames = torch.from_numpy(np.concatenate([moved(2), moved(2, step=2), moved(1)]))
        found, expected = solve(frames, STOPPING, emulated()), solve(frames, STOPPING, TorchLevel)
        assert distance(found, expected).mean() < 1e-4
        assert distance(expected, solve(frames, replace(STOPPING, epsilon=0), TorchLevel)).max() > 0.1
        assert torch.equal(solve(frames[2:4], STOPPING, emulated())[0], found[2])

    def test_when_pairs_rest(self, emulated: Levels) -> None:
        """The mean squared change of the last iteration decides, to rounding."""
        size = (33, 65)
        first, second = random(3, *size, scale=60), random(3, *size, scale=50)
        second[1] = first[1]
        level = emulated()(first, second, torch.zeros(2, 3, *size), STOPPING)
        level.warp()
        level.iterate()
        assert level.state.tolist() in ([2, 0, 2, 2, -1, level.state[5], -1], [2, 2, 0, 2, -1, level.state[5], -1])
        assert level.state[5] >= 0
        assert not level.flow()[:, 1].any()

    def test_tiles_do_not_change_a_bit(self, emulated: Levels, monkeypatch: pytest.MonkeyPatch) -> None:
        frames = torch.from_numpy(moved(2, (41, 99)))
        expected = solve(frames, SHORT, emulated())
        monkeypatch.setattr(_gpu_cuda, "tiling", lambda *_: [1] * SHORT.n_inner)
        assert torch.equal(solve(frames, SHORT, emulated()), expected)

    def test_shipped_tile(self, compiler: str, tmp_path: Path) -> None:
        library = build(compiler, tmp_path, SHORT)
        plain, own = both(emulating(library), (100, 90))
        plain.iterate()
        own.iterate()
        assert (plain.flow() - own.flow()).abs().max() < 1e-4


class TestTiling:
    @given(st.integers(1, 5000), st.sampled_from([16, 24, 64]), st.integers(1, 7))
    def test_every_pixel_is_written_once(self, side: int, tile: int, count: int) -> None:
        written = np.zeros(side, int)
        for i in range(_gpu_cuda.tiles(side, tile, count)):
            start = i * (tile - 2 * count)
            end = start + tile
            written[start + (count if i else 0) : side if end >= side else end - count] += 1
        assert (written == 1).all()

    @given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 60))
    def test_launches_make_all_iterations(self, height: int, width: int, n_iterations: int) -> None:
        counts = _gpu_cuda.tiling(height, width, n_iterations)
        assert sum(counts) == n_iterations
        assert all(1 <= count <= _gpu_cuda.MAX_HALO < min(_gpu_cuda.TILE) / 2 for count in counts)

    def test_one_tile_takes_as_few_launches_as_it_can(self) -> None:
        assert _gpu_cuda.tiling(64, 64, 24) == [12, 12]
