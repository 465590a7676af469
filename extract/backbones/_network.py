"""A backbone with its weights, on its device."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch  # noqa: TID253  (this module is loaded with the first network)
from torch import Tensor  # noqa: TID253

from extract import random_weights
from extract.backbones._base import Backbone
from tal.devices import pick_device
from tal.types import FloatArray

_UNLIKE = 1.25
"""A clip whose side is so many times larger or smaller than in training is remarked upon."""


class Loaded:
    """An `extract.backbones.Embedder` of a network of any family."""

    def __init__(self, backbone: Backbone, weights: Path | int, device: str, stream: str) -> None:
        self.n_features = backbone.n_features
        self.notes: list[str] = []
        self._backbone, self._device = backbone, pick_device(device)
        network = _built(backbone, weights, stream)
        self._network = network.eval().requires_grad_(False).to(self._device)
        mean, std = (torch.tensor(values, dtype=torch.float64) for values in backbone.scaling())
        self._shift, self._scale = ((2 * mean - 1).float(), (2 * std).float())

    def scaled(self, clips: Tensor) -> Tensor:
        """Bring clips to the network's own mean and deviation, on its device; `clips` is left alone.

        With v = (x + 1) / 2 in [0, 1], (v - mean) / std is (x - (2 mean - 1)) / (2 std).

        Args:
            clips: (B, channels, F, H, W): float32 x in [-1, 1], or uint8 RGB, which is x = 2 v / 255 - 1.
        """
        shift, scale = (values.to(self._device).view(-1, 1, 1, 1) for values in (self._shift, self._scale))
        x = clips.to(self._device)
        if x.dtype == torch.uint8:
            x = x.float().mul_(2 / 255).sub_(1)
        return ((x - shift) / scale).contiguous()

    def embed(self, clips: Tensor) -> FloatArray:
        """Map clips, as `scaled` takes them, to features, float32 (B, n_features)."""
        self._remark(min(clips.shape[-2:]))
        with torch.inference_mode():
            vectors: FloatArray = self._backbone.features(self._network, self.scaled(clips)).float().cpu().numpy()
        return vectors

    def classify(self, features: FloatArray) -> FloatArray:
        """Map features (B, n_features) to Kinetics-400 logits, float32 (B, 400)."""
        with torch.inference_mode():
            vectors = torch.from_numpy(features).to(self._device)
            logits: FloatArray = self._backbone.logits(self._network, vectors).float().cpu().numpy()
        return logits

    def calibrate(self, clips: Iterable[Tensor]) -> None:
        """Set every BatchNorm's statistics to those of what reaches it; see `extract.random_weights.calibrate`."""
        parts = SimpleNamespace(
            eval=self._network.eval,
            modules=self._network.modules,
            parameters=self._network.parameters,
            features=lambda batch: self._backbone.features(self._network, self.scaled(batch)),
        )
        random_weights.calibrate(cast(Any, parts), clips)

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of the weights, on the CPU, under their library's names."""
        return {key: value.detach().to("cpu", copy=True) for key, value in self._network.state_dict().items()}

    def _remark(self, side_px: int) -> None:
        name, training = self._backbone.name, self._backbone.training
        if not self.notes and not 1 / _UNLIKE <= side_px / training.crop_px <= _UNLIKE:
            self.notes.append(
                f"{name} was trained on {training}, and these clips are {side_px} px high or wide; "
                f"short_side {training.short_side_px} and crop {training.crop_px} fit it"
            )


def _built(backbone: Backbone, weights: Path | int, stream: str) -> Any:
    """Return the network with its weights; the state of PyTorch's random numbers is left alone."""
    with torch.random.fork_rng(devices=[]):
        network = backbone.build(stream)
    if isinstance(weights, int):
        state = backbone.random_state(network, weights, stream)
    else:
        state = backbone.read_state(network, weights, stream)
    network.load_state_dict({**network.state_dict(), **state})
    return network
