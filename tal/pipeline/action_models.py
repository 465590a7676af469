"""What localization needs of a model, and trained models as such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from tal import localization, models
from tal.settings import LocalizeSettings
from tal.types import Activations, Features, SnippetGrid


class ActionModel(Protocol):
    """Says where in a video its actions are: a trained model, or I3D's own classes."""

    @property
    def identity(self) -> str:
        """Digest of what determines activations beside the features."""

    @property
    def provenance(self) -> dict[str, Any]:
        """The entries ``model`` and ``features`` of a results file."""

    def activate(self, features: Features) -> dict[str, Activations]:
        """Return activations by network."""

    def locate(
        self, activations: Mapping[str, Activations], grid: SnippetGrid, duration_s: float, settings: LocalizeSettings
    ) -> localization.Located:
        """Return the detections of one video."""


@dataclass
class TrainedModel:
    """What `tal.training` made, loaded when the first activations are needed.

    Attributes:
        path: A run folder or its ``model.safetensors``.
        device: See `tal.devices.pick_device`.
    """

    path: Path
    device: str

    @cached_property
    def identity(self) -> str:
        """Return the SHA-256 that the file bears."""
        return models.identity(self.path)

    @cached_property
    def meta(self) -> models.ModelMeta:
        """Return what the file says about itself."""
        return models.read_meta(self.path)

    @cached_property
    def _loaded(self) -> models.Model:
        return models.load(self.path, self.device)

    @property
    def provenance(self) -> dict[str, Any]:
        """Say what the model is and how its training features were made."""
        meta = self.meta
        model = {"sha256": self.identity, "method": dict(meta.method), "classes": list(meta.classes)}
        return {"model": model, "features": dict(meta.features)}

    def activate(self, features: Features) -> dict[str, Activations]:
        """Return activations by network."""
        return self._loaded.activate(features)

    def locate(
        self, activations: Mapping[str, Activations], grid: SnippetGrid, duration_s: float, settings: LocalizeSettings
    ) -> localization.Located:
        """Return the detections of one video."""
        return localization.localize(activations, grid, self.meta.classes, settings, duration_s)
