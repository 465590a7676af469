"""Kinetics-400 classes without training: I3D's own head in place of a trained model.

Per snippet, the logits of the streams are averaged and smoothed over the 64 frames that I3D learned on; a softmax over
the 400 classes gives the signal. A class's score in a video is its peak: the probability of the clip that shows it
best, which a short action in a long video reaches as well as a long one. Localization is that of
``configs/kinetics400.yaml``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from extract import weights
from extract.kinetics import CLIP_FRAMES, Head, clip_mean, fused_logits, read_head, softmax
from tal import localization
from tal.cache import Stage
from tal.errors import ConfigError
from tal.files import digest_of, shipped
from tal.pipeline.context import Context
from tal.pipeline.engines import Recipe, recipe_for
from tal.settings import LocalizeSettings
from tal.types import Activations, Features, SnippetGrid

HEADS = Stage("heads", version=1)
METHOD = {"name": "i3d-kinetics400", "version": 1, "fusion": "mean of logits", "clip_frames": CLIP_FRAMES}
"""What turns features and heads into activations; `version` is raised by hand when that changes."""
PRESET = "kinetics400.yaml"
_NOTE = (
    "no --model: Kinetics-400 classes, without training; for your own classes, label some videos, "
    "'tal train --labels labels.csv', then pass --model runs/stpn"
)


@dataclass(frozen=True)
class KineticsModel:
    """I3D's heads, used as a model of 400 classes.

    Attributes:
        recipe: How the features are made; names the weights.
        heads: Stream to head.
        classes: The 400 class names.
    """

    recipe: Recipe
    heads: Mapping[str, Head]
    classes: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Return the SHA-256 of what determines activations beside the features."""
        return digest_of({**METHOD, "weights": dict(self.recipe.sha256)})

    @property
    def provenance(self) -> dict[str, Any]:
        """Say what the model is and how its features are made, as JSON-ready values."""
        model = {
            "sha256": self.identity,
            "method": METHOD,
            "classes": list(self.classes),
            "weights": dict(self.recipe.sha256),
            "verified": {stream: head.verified for stream, head in self.heads.items()},
        }
        return {"model": model, "features": self.recipe.provenance}

    def activate(self, features: Features) -> dict[str, Activations]:
        """Return the smoothed logits and probabilities of one video under the name of its streams."""
        grid = features.grid
        cas = clip_mean(fused_logits(self.heads, features.streams), grid.length, grid.stride)
        signal = softmax(cas)
        ones = np.ones(len(cas), np.float32)
        return {"+".join(self.heads): Activations(cas, signal.max(axis=0), signal, ones)}

    def locate(
        self, activations: Mapping[str, Activations], grid: SnippetGrid, duration_s: float, settings: LocalizeSettings
    ) -> localization.Located:
        """Find the accepted classes; the others, most of the 400, are left out of the work on sub-samples."""
        (accepted,) = localization.accepted_classes(
            activations, localization.fuse(activations, settings), settings
        ).values()
        kept = np.flatnonzero(accepted)
        if not len(kept):
            return _too_low("class", settings)
        few = {name: _only(one, kept) for name, one in activations.items()}
        found = localization.localize(few, grid, [self.classes[c] for c in kept], settings, duration_s)
        return _at_least(found, settings)


def _only(one: Activations, kept: Any) -> Activations:
    return Activations(one.cas[:, kept], one.scores[kept], one.signal[:, kept], one.attention)


def _at_least(located: localization.Located, settings: LocalizeSettings) -> localization.Located:
    """Leave out segments below the score that classes must reach; both are probabilities under score ``signal``."""
    if settings.score != "signal" or not located.detections:
        return located
    found = tuple(detection for detection in located.detections if detection.score >= settings.class_threshold)
    return localization.Located(found) if found else _too_low("segment", settings)


def _too_low(what: str, settings: LocalizeSettings) -> localization.Located:
    return localization.Located((), f"no {what} reached the score {settings.class_threshold:g}; --min-score lowers it")


def preset() -> Path:
    """Return the settings file for Kinetics-400 classes."""
    return shipped("configs") / PRESET


def kinetics_model(videos: Sequence[Path], ctx: Context) -> KineticsModel:
    """Open I3D's own classes and say what they are.

    Raises:
        ConfigError: If the weights are random.
        WeightsError: If the weights are not there, or do not know 400 classes.
    """
    spec, backbone = ctx.settings.extract.weights, ctx.settings.extract.backbone
    if backbone != "i3d":
        raise ConfigError(f"backbone '{backbone}': without a model only i3d's classes are known; pass --model")
    if weights.parse_random(spec) is not None:
        raise ConfigError(
            f"weights '{spec}': untrained weights know no classes; "
            "use weights of Kinetics-400 (--weights default), or a trained model (--model)"
        )
    recipe = recipe_for(ctx, videos)
    model = _open(recipe, ctx)
    ctx.progress.say(_NOTE)
    doubtful = [f"{stream} {recipe.weights[stream]}" for stream, head in model.heads.items() if not head.trusted]
    if doubtful:
        ctx.progress.say(
            f"warning: not DeepMind's weights: {', '.join(doubtful)}; the classes are only right if the head was "
            "trained on Kinetics-400 in alphabetical order"
        )
    return model


def _open(recipe: Recipe, ctx: Context) -> KineticsModel:
    """Return the heads of the weights, from the cache or read."""
    entry = ctx.cache.get(HEADS, {"weights": dict(recipe.sha256)}, lambda work: _read_heads(work, recipe))
    about = json.loads((entry.path / "about.json").read_text())
    tensors = load_file(entry.path / "heads.safetensors")
    heads: dict[str, Head] = {
        stream: Head(tensors[f"{stream}/weight"], tensors[f"{stream}/bias"], *about["verified"][stream])
        for stream in recipe.settings.streams
    }
    return KineticsModel(recipe, heads, tuple(about["classes"]))


def _read_heads(work: Path, recipe: Recipe) -> None:
    from extract.i3d import kinetics_classes

    heads = {stream: read_head(path, stream) for stream, path in recipe.weights.items()}
    tensors = {f"{stream}/{name}": getattr(head, name) for stream, head in heads.items() for name in ("weight", "bias")}
    save_file(tensors, work / "heads.safetensors")
    verified = {stream: [head.trusted, head.verified] for stream, head in heads.items()}
    (work / "about.json").write_text(json.dumps({"classes": kinetics_classes(), "verified": verified}))
