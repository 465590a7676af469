"""I3D without trained weights: random convolutions, and BatchNorm statistics taken from clips.

For trying a pipeline offline and for tests: random features still differ between clips, once each BatchNorm is set to
the statistics of what reaches it (`calibrate`). They mean nothing beyond that.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from extract.i3d import I3D
from extract.weights_files import shapes
from tal.types import STREAMS

DEAD_VARIANCE = 1e-6


def random_state(seed: int, stream: str) -> dict[str, Tensor]:
    """Return a state dict with He-normal convolutions; scales and variances are 1, biases and means 0.

    Filters that follow a ReLU are centred (Qiao et al., arXiv 1903.10520): their inputs are never negative, and what
    all clips have in common would otherwise grow from layer to layer until the clips' features hardly differ.
    The numbers depend on (seed, stream, position of the tensor) only, through NumPy's generator.
    """
    return {
        key: _tensor(key, shape, np.random.default_rng([seed, STREAMS.index(stream), index]))
        for index, (key, shape) in enumerate(sorted(shapes(stream).items()))
    }


def _tensor(key: str, shape: tuple[int, ...], generator: np.random.Generator) -> Tensor:
    if not key.endswith("conv3d.weight"):
        return torch.ones(shape) if key.endswith(("bn.weight", "running_var")) else torch.zeros(shape)
    spread = np.float32(np.sqrt(2 / np.prod(shape[1:])))  # He et al., ICCV 2015, eq. 10
    values = generator.standard_normal(shape, dtype=np.float32) * spread
    if not key.startswith("Conv3d_1a"):
        values -= values.mean(axis=(1, 2, 3, 4), keepdims=True, dtype=np.float64).astype(np.float32)
    return torch.from_numpy(values)


def calibrate(model: I3D, clips: Iterable[Tensor]) -> None:
    """Set every BatchNorm's mean and variance to those of the activations that reach it; `model` is left in eval mode.

    Each batch is normalised, layer by layer, by the statistics of all batches so far, itself included: for one batch
    they are exactly its own. A channel that does not vary (flow of a still camera) gets variance 1, so that it passes
    unscaled instead of being blown up by 1 / sqrt(eps) when it does vary.

    Args:
        model: The network; changed in place.
        clips: Batches (B, C, F, H, W), values in [-1, 1].
    """
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    handles = [norm.register_forward_pre_hook(_Statistics()) for norm in norms]
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            for batch in clips:
                model.features(batch.to(device))
    finally:
        for handle in handles:
            handle.remove()


class _Statistics:
    """Mean and variance per channel over all that has passed (Chan, Golub and LeVeque, 1979)."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = self.variance = torch.zeros(())

    def __call__(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not isinstance(norm, nn.BatchNorm3d) or norm.running_mean is None or norm.running_var is None:
            raise ValueError("needs a BatchNorm3d that keeps statistics")
        self._add(inputs[0].float())
        alive = self.variance > DEAD_VARIANCE
        norm.running_mean.copy_(self.mean)
        norm.running_var.copy_(torch.where(alive, self.variance, torch.ones_like(self.variance)))

    def _add(self, x: Tensor) -> None:
        variance, mean = torch.var_mean(x, dim=(0, 2, 3, 4), correction=0)
        n = x.numel() // x.shape[1]
        share = n / (self.n + n)
        step = mean - self.mean.to(mean)
        self.variance = self.variance.to(mean) * (1 - share) + variance * share + step**2 * share * (1 - share)
        self.mean = self.mean.to(mean) + step * share
        self.n += n
