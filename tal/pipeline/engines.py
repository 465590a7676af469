"""Which engines and weights an extraction really uses, decided without loading any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tal
from extract import backbones, decoders, flow, weights
from tal.errors import ConfigError, InputError, WeightsError
from tal.pipeline.calibration import NOT_IN_KEY, calibrated, calibrated_already, calibrated_before
from tal.pipeline.context import Context
from tal.settings import ExtractSettings, FlowSettings

if TYPE_CHECKING:
    from extract.features import Embedder, Extractor

IMAGES = "images"
"""The flow backend of features whose flow was read."""


@dataclass(frozen=True)
class Recipe:
    """How features are made.

    Attributes:
        settings: With the decoder and flow backend that are really used in place of ``auto``; the flow backend is
            ``images`` where flow is read from images.
        weights: Stream to weights file.
        sha256: Stream to the SHA-256 of that file.
    """

    settings: ExtractSettings
    weights: Mapping[str, Path]
    sha256: Mapping[str, str]

    @cached_property
    def key_fields(self) -> dict[str, Any]:
        """What determines the features beside the video itself."""
        plain = self.settings.model_dump(mode="json", exclude=NOT_IN_KEY)
        return {"settings": plain, "weights": dict(self.sha256)}

    @property
    def provenance(self) -> dict[str, Any]:
        """What a shard says about how it was made."""
        random = weights.parse_random(self.settings.weights) is not None
        return {
            **self.key_fields,
            "weights_spec": self.settings.weights,
            "weights_note": "random weights, calibrated on the first videos: for demos and tests" if random else "",
            "tal": tal.__version__,
        }


def recipe_for(ctx: Context, videos: Sequence[Path]) -> Recipe:
    """Decide decoder, flow backend and weights for these videos.

    Raises:
        BackendError: If an engine that was asked for is not there.
        WeightsError: If the weights are not there.
    """
    s = resolved(ctx.settings.extract, ctx.settings.runtime.device)
    ctx.progress.detail(f"decoder {s.decoder}, flow {s.flow.backend}, backbone {s.backbone}, {s.precision}")
    seed = weights.parse_random(s.weights)
    files = _given(s, ctx) if seed is None else calibrated(seed, s, videos, ctx)
    return Recipe(s, files, {stream: ctx.cache.sha256(path) for stream, path in files.items()})


def recipe_of(provenance: Mapping[str, Any], ctx: Context) -> Recipe:
    """Rebuild the recipe that a model's training features were made with.

    Raises:
        ConfigError: If the features were imported, or flow was read from images and no folder of images is named.
        WeightsError: If the very same weights are not on this machine.
    """
    if "imported" in provenance:
        raise ConfigError("the model learned from imported features, which new videos cannot get; extract, then train")
    spec = str(provenance["weights_spec"])
    kept = {"weights": spec, "max_gap_s": ctx.settings.extract.max_gap_s, "flow_images": _images(provenance, ctx)}
    s = ExtractSettings.model_validate({**provenance["settings"], **kept})
    wanted = dict(provenance["weights"])
    if weights.parse_random(spec) is not None:
        files = calibrated_before(wanted, s.backbone, ctx.cache)
    else:
        given = ctx.settings.extract.weights
        files = _given(s.model_copy(update={"weights": given if given != "default" else spec}), ctx)
    found = {stream: ctx.cache.sha256(path) for stream, path in files.items()}
    for stream in s.streams:
        if found[stream] != wanted[stream]:
            raise WeightsError(
                f"{files[stream]}: not the {stream} weights the model's features were made with "
                f"(SHA-256 {wanted[stream][:12]}…); pass the right ones with --weights"
            )
    return Recipe(s, files, found)


def _images(provenance: Mapping[str, Any], ctx: Context) -> str:
    """Return the folder of flow images, if a model's features were made from some."""
    if provenance["settings"]["flow"]["backend"] != IMAGES:
        return ""
    if not ctx.settings.extract.flow_images:
        raise ConfigError(
            "the model's features were made from flow images; write these videos' flow as images, too, and name the "
            "folder with --set extract.flow_images=DIR"
        )
    return ctx.settings.extract.flow_images


def _given(s: ExtractSettings, ctx: Context) -> dict[str, Path]:
    """Return the weight file of each stream, fetched if need be."""
    known_files = backbones.get(s.backbone).known_files()
    sources = weights.resolve(s.weights, s.streams, ctx.progress, ctx.cache.root, known_files)
    return {stream: source.path for stream, source in sources.items()}


def resolved(settings: ExtractSettings, device: str = "auto") -> ExtractSettings:
    """Name the decoder, flow backend and precision that ``auto`` stands for on this machine.

    Raises:
        BackendError: If something that was asked for is not there.
        ConfigError: If the backbone does not know a stream.
        InputError: If flow is to be read from a folder that is not there.
    """
    backbone = backbones.get(settings.backbone)
    for stream in settings.streams:
        if stream not in backbone.streams:
            raise ConfigError(
                f"backbone '{backbone.name}' has no {stream} stream; add --set extract.streams=[rgb], or use 'i3d'"
            )
    return settings.model_copy(
        update={
            "decoder": decoders.choose(settings.decoder),
            "flow": _flow(settings),
            "precision": _precision(settings.precision, device),
        }
    )


def _flow(settings: ExtractSettings) -> FlowSettings:
    """Name where flow comes from; images have been cut off and quantised already, whatever the settings say."""
    if settings.reads_flow:
        if not Path(settings.flow_images).is_dir():
            raise InputError(f"{settings.flow_images}: no such folder of flow images")
        return FlowSettings(backend=IMAGES)
    if settings.flow.backend == IMAGES:
        raise ConfigError("flow backend 'images': name the folder of images with --set extract.flow_images=DIR")
    engine = flow.choose(settings.flow.backend) if "flow" in settings.streams else "none"
    return settings.flow.model_copy(update={"backend": engine})


def _precision(name: str, device: str) -> str:
    if name == "fp32":  # everywhere; a run that finds all in the cache never loads PyTorch
        return name
    from extract.i3d_engine import choose_precision
    from tal.devices import pick_device

    return choose_precision(name, str(pick_device(device)))


@contextmanager
def lend_extractor(recipe: Recipe, ctx: Context) -> Iterator[Extractor]:
    """Open the engines for a while."""
    from extract.features import Extractor
    from tal.devices import pick_device

    device = str(pick_device(ctx.settings.runtime.device))
    ctx.progress.detail(f"I3D and other networks run on {device}")
    if weights.parse_random(recipe.settings.weights) is not None:
        ctx.progress.say("random weights: features carry motion and texture, not Kinetics knowledge")
    networks = {stream: _embedder(recipe, stream, device, ctx) for stream in recipe.weights}
    extractor = Extractor(recipe.settings, ctx.settings.runtime, networks, recipe.provenance)
    try:
        yield extractor
    finally:
        for note in extractor.notes:
            ctx.progress.say(note)
        extractor.close()


def _embedder(recipe: Recipe, stream: str, device: str, ctx: Context) -> Embedder:
    """Return the network of one stream, its weights checked."""
    s, path = recipe.settings, recipe.weights[stream]
    if s.backbone != "i3d":
        return backbones.load(s.backbone, path, device, stream)
    from extract.i3d import CHANNELS, I3D
    from extract.i3d_engine import Engine

    network, state = I3D(CHANNELS[stream]), weights.load(path, stream)
    if weights.parse_random(s.weights) is None:
        ctx.progress.say(f"{stream} weights {path}: {weights.verify(state, stream)}")
    network.load_state_dict(state)
    return Engine(network.eval(), device, s.precision)


def recipe_if_there(ctx: Context, videos: Sequence[Path]) -> Recipe | None:
    """Return what `recipe_for` would, or None if weights would have to be fetched or calibrated first.

    Raises:
        BackendError: If an engine that was asked for is not there.
        WeightsError: If weights that were asked for are not there.
    """
    s = resolved(ctx.settings.extract, ctx.settings.runtime.device)
    seed = weights.parse_random(s.weights)
    if seed is not None:
        files = calibrated_already(seed, s, videos, ctx)
    elif s.weights == "default":
        known_files, fetched = backbones.get(s.backbone).known_files(), ctx.cache.root / "weights"
        here = {stream: weights.local(stream, fetched, known_files) for stream in s.streams}
        files = {stream: source.path for stream, source in here.items() if source}
    else:
        files = _given(s, ctx)
    known = {stream: ctx.cache.sha256(path) for stream, path in files.items()}
    return Recipe(s, files, known) if set(known) == set(s.streams) else None
