"""A level of TV-L1 in plain PyTorch: it runs wherever PyTorch does.

Planes are (B, H, W), both components of a vector in front: (2, B, H, W). Work is done in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.flow._gpu_median import Step, after_columns, column_steps
from extract.flow._gpu_pyramid import gradient
from extract.flow._tvl1 import Parameters

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1.1920929e-07
"""Squared gradients below this count as this (FLT_EPSILON, as in OpenCV)."""
MARGIN = 4
"""Zeros around a frame that is sampled: no tap of a clamped position leaves them, px."""


class TorchLevel:
    """See `extract.flow._gpu_pyramid.Level`.

    With `epsilon` above 0 each pair stops by itself: it is computed on with the others, and its old values are kept.
    """

    def __init__(self, first: Tensor, second: Tensor, flow: Tensor, parameters: Parameters) -> None:
        self.parameters = parameters
        self.first, self.moving = first, with_gradient(second)
        self.u = flow
        self.px, self.py = flow.new_zeros(flow.shape), flow.new_zeros(flow.shape)  # dual variables of u's components
        self.dx, self.dy = flow.new_zeros(flow.shape), flow.new_zeros(flow.shape)  # zero for ever at the far border
        self.norm, self.step = flow.new_empty(flow.shape), flow.new_empty(first.shape)
        self.active = first.new_ones((len(first), 1, 1)).bool()

    def flow(self) -> Tensor:
        """Return u."""
        return self.u

    def warp(self) -> None:
        """Set the gradient of the warped frame, the residual at u = 0 and what the residual is multiplied with."""
        warped, gx, gy = sample(self.moving, self.u).unbind()
        self.grad = (gx, gy)
        self.offset = warped.sub_(self.first).addcmul_(gx, self.u[0], value=-1).addcmul_(gy, self.u[1], value=-1)
        self.gain = gx.square().addcmul_(gy, gy).clamp_(min=EPSILON).reciprocal_().neg_()
        self.active.fill_(True)

    def smooth(self) -> None:
        """Median filter u."""
        if self.parameters.median > 1:
            for component in self.u:
                self._keep(component, median(component, self.parameters.median), component)

    def iterate(self) -> None:
        """Run `n_inner` iterations."""
        p = self.parameters
        if p.epsilon == 0:
            for _ in range(p.n_inner):
                self._step()
            return
        for done in range(0, p.n_inner, p.stop_every):
            if not self.active.any():  # the only wait for the device: it spares most of the work
                return
            self._step_and_stop(min(p.stop_every, p.n_inner - done))

    def _step(self) -> None:
        self._descend()
        self._ascend()

    def _step_and_stop(self, n: int) -> None:
        """Run n iterations on active pairs and stop those whose u hardly changes in the last."""
        before = [part.clone() for part in (self.u, self.px, self.py)]
        for _ in range(n - 1):
            self._step()
        last = self.u.clone()
        self._step()
        change = last.sub_(self.u).square_().sum(dim=0).mean(dim=(1, 2))  # (B,)
        for old, new in zip(before, (self.u, self.px, self.py), strict=True):
            self._keep(new, new, old)
        self.active &= (change > self.parameters.epsilon**2).view(-1, 1, 1)

    def _descend(self) -> None:
        """Set v = u + soft step of the residual, then u = v + theta * div p."""
        (gx, gy), theta, limit = self.grad, self.parameters.theta, self.parameters.lambda_ * self.parameters.theta
        self.step.copy_(self.offset).addcmul_(gx, self.u[0]).addcmul_(gy, self.u[1])
        self.step.mul_(self.gain).clamp_(-limit, limit)
        self.u[0].addcmul_(gx, self.step)
        self.u[1].addcmul_(gy, self.step)
        self.u.add_(self.px, alpha=theta).add_(self.py, alpha=theta)
        self.u[..., 1:].sub_(self.px[..., :-1], alpha=theta)
        self.u[..., 1:, :].sub_(self.py[..., :-1, :], alpha=theta)

    def _ascend(self) -> None:
        """Set p = (p + r * grad u) / (1 + r * |grad u|) with r = tau / theta."""
        import torch

        rate = self.parameters.tau / self.parameters.theta
        torch.sub(self.u[..., 1:], self.u[..., :-1], out=self.dx[..., :-1])
        torch.sub(self.u[..., 1:, :], self.u[..., :-1, :], out=self.dy[..., :-1, :])
        torch.mul(self.dx, self.dx, out=self.norm)
        self.norm.addcmul_(self.dy, self.dy).sqrt_().mul_(rate).add_(1)
        self.px.add_(self.dx, alpha=rate).div_(self.norm)
        self.py.add_(self.dy, alpha=rate).div_(self.norm)

    def _keep(self, target: Tensor, active: Tensor, stopped: Tensor) -> None:
        """Fill `target` with one or the other, pair by pair."""
        import torch

        torch.where(self.active, active, stopped, out=target)


def with_gradient(images: Tensor) -> Tensor:
    """Return images, their gradients in x and y, with zeros around them: (3, B, H + 2 * MARGIN, W + 2 * MARGIN)."""
    count, height, width = images.shape
    planes = images.new_zeros((3, count, height + 2 * MARGIN, width + 2 * MARGIN))
    inner = planes[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    for plane, values in zip(inner, (images, *gradient(images)), strict=True):
        plane.copy_(values)
    return planes


def sample(planes: Tensor, u: Tensor) -> Tensor:
    """Return each plane at x + u, bicubically with a = -0.75, zero outside.

    Args:
        planes: What `with_gradient` returns.
        u: (2, B, H, W), px.

    Returns:
        (3, B, H, W).
    """
    found = u.new_zeros((3, *u.shape[1:]))
    for rows in _strips(u[0]):
        _sample_rows(planes, u[:, :, rows], rows.start, found[:, :, rows])
    return found


def _sample_rows(planes: Tensor, u: Tensor, top: int, found: Tensor) -> None:
    import torch

    n_pairs, height, width = u.shape[1:]
    pitch = planes.shape[3]
    x, wx = _split(torch.arange(width, device=u.device, dtype=u.dtype) + u[0], width)
    rows = torch.arange(top, top + height, device=u.device, dtype=u.dtype).view(-1, 1)
    y, wy = _split(rows + u[1], planes.shape[2] - 2 * MARGIN)
    index = y.add_(MARGIN - 1).mul_(pitch).add_(x).add_(MARGIN - 1).view(n_pairs, -1)  # of the first tap
    for plane, value in zip(planes, found, strict=True):
        flat = plane.view(n_pairs, -1)
        for j in range(4):
            row = torch.zeros_like(value)
            for i in range(4):
                tap = flat[:, j * pitch + i :].gather(1, index)
                row.addcmul_(tap.view(row.shape), wx[i])
            value.addcmul_(row, wy[j])


def _split(at: Tensor, size: int) -> tuple[Tensor, list[Tensor]]:
    """Return whole parts of positions, int64, and the cubic weights of the taps -1, 0, 1 and 2 beside them."""
    whole = at.floor()
    t = at.sub_(whole)
    s = 1 - t
    near = ((1.25 * t - 2.25) * t * t).add_(1)
    far = ((1.25 * s - 2.25) * s * s).add_(1)
    outer = (t * s).mul_(-0.75)
    return whole.clamp_(1 - MARGIN, size + 1).long(), [outer * s, near, far, outer * t]


def median(images: Tensor, side: int) -> Tensor:
    """Return the median of each `side` x `side` window; border pixels are repeated.

    Args:
        images: float32 (B, H, W).
        side: 3 or 5, px.
    """
    import torch
    from torch.nn.functional import pad

    wide = pad(images[None], (side // 2,) * 4, mode="replicate")[0]
    parts = [_median_rows(wide[:, rows.start : rows.stop + side - 1], side) for rows in _strips(images)]
    return torch.cat(parts, dim=1)


def _median_rows(wide: Tensor, side: int) -> Tensor:
    height, width = wide.shape[1] - side + 1, wide.shape[2] - side + 1
    columns: list[Tensor] = [wide[:, i : i + height] for i in range(side)]
    _run(column_steps(side), columns)
    window = [column[..., i : i + width] for column in columns for i in range(side)]
    steps, wire = after_columns(side)
    _run(steps, window)
    return window[wire]


def _strips(images: Tensor) -> list[slice]:
    """Return rows that are worth computing at a time: what lies between is many planes, and a CPU has small caches."""
    n_pairs, height, width = images.shape
    n_rows = max(1, (1 << 18 if images.device.type == "cpu" else 1 << 24) // (n_pairs * width))
    return [slice(top, min(top + n_rows, height)) for top in range(0, height, n_rows)]


def _run(steps: list[Step], wires: list[Tensor]) -> None:
    import torch

    for low, high, keep_low, keep_high in steps:
        a, b = wires[low], wires[high]
        wires[low] = torch.minimum(a, b) if keep_low else b
        wires[high] = torch.maximum(a, b) if keep_high else b
