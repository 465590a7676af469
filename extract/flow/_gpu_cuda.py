"""A level of TV-L1 with kernels of our own, for NVIDIA GPUs: ``_gpu_pixels.cu`` and ``_gpu_iterations.cu``.

What decides the speed is the inner iteration. One at a time, it moves 64 bytes per pixel (u, p and coef read, u and p
written) for 50 instructions, so memory would be the limit: 4.8 TB/s are 75 G pixel-iterations/s on an H200. A block
here holds a tile in registers and runs several iterations before it writes; tiles overlap by as many pixels, which
costs instructions and saves traffic. `tiling` looks for the balance on each level. At 340 x 256 px with 30 iterations
per round that makes 1.6 computed pixels per useful one and 12 bytes per iteration: both limits are then near 370 G
useful pixel-iterations/s. None of this was measured yet; ``benchmarks/flow_gpu.py`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from extract.flow._gpu_median import Step, after_columns, column_steps
from extract.flow._gpu_nvrtc import Module, compile_source
from extract.flow._gpu_pyramid import gradient
from extract.flow._tvl1 import Parameters

if TYPE_CHECKING:
    import torch
    from torch import Tensor

ROWS, WARPS = 4, 16
"""Rows of a thread and warps of a block: a tile is 64 px wide and ROWS * WARPS px high."""
TILE = (ROWS * WARPS, 64)
MAX_HALO = 12
"""Most iterations in one launch, px lost on each side of a tile."""
MAX_PAIRS = 1024
"""Pairs of a batch: what one block can keep a list of."""
LAUNCH_COST = 4.0
"""What loading and storing a tile costs, in iterations; reckoned from bandwidth, it only steers `tiling`."""


def why_not(parameters: Parameters) -> str | None:
    """Return None where the kernels can compute with these parameters, else the reason."""
    return None if parameters.median in (1, 5) else f"they have no median filter of {parameters.median} px"


def source(parameters: Parameters) -> str:
    """Return the kernels with their constants."""
    rest, wire = after_columns(5)
    constants = {
        "THETA": f"{parameters.theta!r}f",
        "RATE": f"{parameters.tau / parameters.theta!r}f",
        "LIMIT": f"{parameters.lambda_ * parameters.theta!r}f",
        "THRESHOLD": f"{parameters.epsilon**2!r}f",
        "ROWS": ROWS,
        "WARPS": WARPS,
        "MEDIAN_COLUMN(v)": _orders(column_steps(5)),
        "MEDIAN_REST(v)": _orders(rest),
        "MEDIAN_WIRE": wire,
    }
    defines = [f"#define {name} {value}" for name, value in constants.items()]
    files = [Path(__file__).with_name(name) for name in ("_gpu_pixels.cu", "_gpu_iterations.cu")]
    return "\n".join([*defines, *(f'#line 1 "{file.name}"\n{file.read_text(encoding="utf-8")}' for file in files)])


def _orders(steps: list[Step]) -> str:
    return " ".join(f"ORDER(v[{step.low}], v[{step.high}])" for step in steps)


@lru_cache(maxsize=256)
def tiling(height: int, width: int, n_iterations: int) -> list[int]:
    """Return how many iterations each launch runs, so that all together cost least.

    Args:
        height: Of the level, px.
        width: Of the level, px.
        n_iterations: Of one round, in all.
    """
    least = -(-n_iterations // MAX_HALO)
    ways = [_parts(n_iterations, n) for n in range(least, n_iterations + 1)]
    return min(ways, key=lambda way: sum(_cost(height, width, count) for count in way), default=[])


def _parts(total: int, n: int) -> list[int]:
    return [total // n + (i < total % n) for i in range(n)] if n else []


def _cost(height: int, width: int, count: int) -> float:
    return tiles(height, TILE[0], count) * tiles(width, TILE[1], count) * (count + LAUNCH_COST)


def tiles(side: int, tile: int, count: int) -> int:
    """Return how many tiles cover `side` px, when neighbours overlap by 2 * `count` px."""
    return max(1, -(-(side - 2 * count) // (tile - 2 * count)))


@lru_cache(maxsize=16)
def load(parameters: Parameters, device: torch.device) -> Module:
    """Return the kernels on a device; call it inside ``torch.cuda.device`` of that device.

    Raises:
        BackendError: If they cannot be compiled or loaded there.
    """
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    return Module(compile_source(source(parameters), f"sm_{major}{minor}"))


class CudaLevel:
    """See `extract.flow._gpu_pyramid.Level`; tensors are contiguous, (B, H, W) with 2 or 4 values per pixel.

    Every launch is made whether pairs are left or not: to ask would be to wait. A launch for nothing takes few blocks.
    """

    def __init__(self, first: Tensor, second: Tensor, flow: Tensor, parameters: Parameters) -> None:
        import torch

        self.parameters, self.first = parameters, first.contiguous()
        self.n_pairs, self.height, self.width = first.shape
        self.moving = torch.stack([second, *gradient(second), torch.zeros_like(second)], dim=-1)
        start = flow.permute(1, 2, 3, 0).contiguous()  # (B, H, W, 2)
        self.u = [start, torch.empty_like(start)]
        self.p = [torch.zeros_like(self.moving), torch.empty_like(self.moving)]
        self.coef = torch.empty_like(self.moving)
        self.side_u = self.side_p = 0
        numbers = torch.arange(-1, self.n_pairs, dtype=torch.int32, device=first.device)
        numbers[0] = self.n_pairs
        self.all_active = torch.cat([numbers, torch.full_like(numbers[1:], -1)])
        self.state = self.all_active.clone()
        self.change = first.new_empty((self.n_pairs, self._most_tiles()))
        self.kernels = self._kernels(first.device)
        self._calls: dict[tuple[str | int, ...], Callable[[], None]] = {}

    def _kernels(self, device: torch.device) -> Module:
        return load(self.parameters, device)

    def _rounds(self) -> list[list[int]]:
        """Return the iterations of each launch, grouped by looks at the change of u."""
        n, every = self.parameters.n_inner, self.parameters.stop_every
        looks = [every] * (n // every) + [n % every] * (n % every > 0) if self.parameters.epsilon > 0 else [n]
        return [tiling(self.height, self.width, look) for look in looks]

    def _most_tiles(self) -> int:
        return max((self._n_tiles(count) for counts in self._rounds() for count in counts), default=1)

    def _n_tiles(self, count: int) -> int:
        return tiles(self.height, TILE[0], count) * tiles(self.width, TILE[1], count)

    def flow(self) -> Tensor:
        """Return u."""
        self._settle()
        return self.u[self.side_u].permute(3, 0, 1, 2)

    def warp(self) -> None:
        """Sample the second frame at x + u and set the coefficients; all pairs are active again."""
        self._settle()
        self.state.copy_(self.all_active)
        grid = (-(-self.width // 32), -(-self.height // 8), self.n_pairs)
        tensors = (self.first, self.moving, self.u[self.side_u], self.coef)
        self._launch("warp", grid, 256, *tensors, self.width, self.height)

    def smooth(self) -> None:
        """Median filter u."""
        if self.parameters.median > 1:
            across, down = -(-self.width // 32), -(-self.height // 8)
            grid = (across, down, max(1, min(self.n_pairs, 32 * self.kernels.n_multiprocessors // (across * down))))
            tensors = (self.u[self.side_u], self.u[1 - self.side_u], self.state)
            self._launch("median", grid, 256, *tensors, self.width, self.height)
            self.side_u = 1 - self.side_u

    def iterate(self) -> None:
        """Run `n_inner` iterations, several per launch."""
        stops = self.parameters.epsilon > 0
        for counts in self._rounds():
            for i, count in enumerate(counts):
                self._advance(count, stops and i == len(counts) - 1)
            if stops:
                n_pixels, place = self.height * self.width, self.side_u + 2 * self.side_p
                numbers = (self._n_tiles(counts[-1]), n_pixels, self.n_pairs, place)
                self._launch("judge", (1, 1, 1), 1024, self.change, self.state, *numbers)

    def _advance(self, count: int, measured: bool) -> None:
        """Run `count` iterations in one launch, and turn sides."""
        grid = (min(self.n_pairs * self._n_tiles(count), 4 * self.kernels.n_multiprocessors), 1, 1)
        source, target = (self.u[self.side_u], self.p[self.side_p]), (self.u[1 - self.side_u], self.p[1 - self.side_p])
        tensors = (*source, self.coef, *target, self.state, self.change)
        self._launch("iterate", grid, 32 * WARPS, *tensors, self.width, self.height, count, int(measured))
        self.side_u, self.side_p = 1 - self.side_u, 1 - self.side_p

    def _settle(self) -> None:
        """Bring pairs that rest to the side where the others are."""
        if self.parameters.epsilon > 0:
            n_pixels, place = self.height * self.width, self.side_u + 2 * self.side_p
            grid = (min(-(-n_pixels // 256), 64), min(self.n_pairs, 64), 1)
            tensors = (self.u[0], self.p[0], self.u[1], self.p[1], self.state)
            self._launch("settle", grid, 256, *tensors, n_pixels, self.n_pairs, place)

    def _launch(self, name: str, grid: tuple[int, int, int], n_threads: int, *arguments: Tensor | int) -> None:
        """Start a kernel; launches are prepared once, and sides and numbers tell them apart."""
        numbers = tuple(a for a in arguments if isinstance(a, int))
        key: tuple[str | int, ...] = (name, self.side_u, self.side_p, *numbers)
        if key not in self._calls:
            self._calls[key] = self.kernels.prepare(name, grid, n_threads, *arguments)
        self._calls[key]()
