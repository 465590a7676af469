"""Where a video's curves come from: a folder of activations, or a model and a shard, through the cache."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from tal import localization, shards
from tal.cache import Cache
from tal.errors import InputError, ModelError
from tal.pipeline.action_models import ActionModel, TrainedModel
from tal.pipeline.context import Context
from tal.pipeline.guides import SUFFIX, read_activations
from tal.pipeline.localizing import activations_of
from tal.results import Results
from tal.settings import LocalizeSettings
from tal.timelines import Curves
from tal.types import STREAMS, Activations, FloatArray, SnippetGrid

FEW_CLASSES = 30
"""Of a model with more classes, only those that occur in a video get curves."""


@dataclass(frozen=True)
class Source:
    """Where activations come from.

    Attributes:
        classes: Names of the C classes.
        settings: How networks are fused.
        cache: Where what the model says is kept.
        grid: Rate, length and stride of snippets, for videos without a shard.
        folder: Holds ``<video>.safetensors``.
        model: Says what the folder does not hold, of videos with a shard.
    """

    classes: tuple[str, ...]
    settings: LocalizeSettings
    cache: Cache
    grid: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    model: ActionModel | None = None

    def curves(self, video: str, shard: Path | None, labels: Collection[str]) -> dict[str, Curves]:
        """Return a video's curves by network, ``fused`` alone where the fused signal was thresholded.

        Args:
            video: Its name.
            shard: Its features, if they are at hand.
            labels: What occurs in it: of models with many classes, the others are left out.

        Raises:
            ModelError: If activations, classes and snippets do not fit together.
        """
        found = self._activations(video, shard)
        if not found:
            return {}
        if self.settings.streams == "fused":
            found = {"fused": localization.fuse(found, self.settings)}
        found = {name: found[name] for name in sorted(found, key=_network_order)}
        first = next(iter(found.values()))
        grid = self._grid(video, shard, len(first.cas))
        times_s = np.array([grid.time_s(i + 0.5) for i in range(grid.n_snippets)])
        return {network: self._of_network(video, one, times_s, labels) for network, one in found.items()}

    def _activations(self, video: str, shard: Path | None) -> dict[str, Activations]:
        if self.folder is not None and (path := self.folder / f"{video}{SUFFIX}").is_file():
            return read_activations(path)
        if self.model is not None and shard is not None:
            return activations_of(shard, shards.header(shard).digest, self.model, self.cache)
        return {}

    def _grid(self, video: str, shard: Path | None, n_snippets: int) -> SnippetGrid:
        if shard is None:
            known = {name: self.grid[name] for name in ("fps", "length", "stride") if name in self.grid}
            try:
                return SnippetGrid.from_dict({"fps": "25", **known, "n_snippets": n_snippets})
            except (TypeError, ValueError) as error:
                raise ModelError("the model's snippets are no grid; train it again") from error
        grid = shards.header(shard).grid
        if grid.n_snippets != n_snippets:
            raise ModelError(
                f"activations of '{video}' have {n_snippets} snippets, its features {grid.n_snippets}; "
                "make them for these features"
            )
        return grid

    def _of_network(
        self, video: str, one: Activations, times_s: np.ndarray[Any, Any], labels: Collection[str]
    ) -> Curves:
        if one.cas.shape[1] != len(self.classes):
            raise ModelError(
                f"activations of '{video}' know {one.cas.shape[1]} classes, the model {len(self.classes)}; "
                "name the model that made them"
            )
        kept = [c for c, label in enumerate(self.classes) if len(self.classes) <= FEW_CLASSES or label in labels]
        attention = None if (one.attention == 1).all() else one.attention
        return Curves(times_s, self._by_label(one.cas, kept), self._by_label(one.signal, kept), attention)

    def _by_label(self, values: FloatArray, kept: Collection[int]) -> dict[str, FloatArray]:
        return {self.classes[c]: values[:, c] for c in kept}


def open_source(
    results: Results, model: Path | str | ActionModel | None, activations: Path | str | None, ctx: Context
) -> Source | None:
    """Return where curves come from, None where nothing is given.

    Raises:
        InputError: If there is no such folder, or nothing names the classes of what lies in it.
        ModelError: If there is no such model.
    """
    if model is None and activations is None:
        return None
    folder = Path(activations) if activations is not None else None
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder}: no such folder of activations; 'tal localize --activations' writes one")
    opened = TrainedModel(Path(model), ctx.settings.runtime.device) if isinstance(model, str | Path) else model
    about = opened.provenance if opened is not None else results.provenance
    classes = tuple(_entry(about, "model").get("classes", ()))
    if not classes:
        raise InputError(f"{folder}: nothing names the classes of these activations; name the model with --model")
    grid = _entry(_entry(about, "features"), "grid")
    return Source(classes, _how(results), ctx.cache, grid, folder, opened)


def _network_order(name: str) -> tuple[int, str]:
    """Sort networks as streams are: RGB before flow."""
    return (STREAMS.index(name) if name in STREAMS else len(STREAMS), name)


def _how(results: Results) -> LocalizeSettings:
    """Return the settings that detections were made with, as far as they say so."""
    try:
        return LocalizeSettings.model_validate(dict(_entry(results.provenance, "localize")))
    except ValidationError:  # written by another program or version
        return LocalizeSettings()


def _entry(about: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = about.get(key)
    return value if isinstance(value, Mapping) else {}
