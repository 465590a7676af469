"""Which engines and weights an extraction really uses, decided without loading any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tal
from extract import decoders, flow, weights
from extract.video import video_name
from tal.cache import Cache, Stage
from tal.errors import TalError, WeightsError
from tal.pipeline.context import Context
from tal.settings import ExtractSettings

if TYPE_CHECKING:
    from torch import Tensor

    from extract.features import Extractor, Frames
    from extract.i3d import I3D

CALIBRATE = Stage("calibrate", version=1)
CLIPS_PER_VIDEO = 4
NOT_IN_KEY = {"weights", "calibration_videos", "max_gap_s"}
"""Settings that do not determine features: weights are named by their digest."""


@dataclass(frozen=True)
class Recipe:
    """How features are made.

    Attributes:
        settings: With the decoder and flow backend that are really used in place of ``auto``.
        weights: Stream to weights file.
        sha256: Stream to the SHA-256 of that file.
    """

    settings: ExtractSettings
    weights: Mapping[str, Path]
    sha256: Mapping[str, str]

    @property
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
    s = resolved(ctx.settings.extract)
    seed = weights.parse_random(s.weights)
    if seed is None:
        sources = weights.resolve(s.weights, s.streams, ctx.progress, ctx.cache.root)
        files = {stream: source.path for stream, source in sources.items()}
    else:
        files = _calibrated(seed, s, videos, ctx)
    return Recipe(s, files, {stream: ctx.cache.sha256(path) for stream, path in files.items()})


def recipe_of(provenance: Mapping[str, Any], ctx: Context) -> Recipe:
    """Rebuild the recipe that a model's training features were made with.

    Raises:
        WeightsError: If the very same weights are not on this machine.
    """
    spec = str(provenance["weights_spec"])
    kept = {"weights": spec, "max_gap_s": ctx.settings.extract.max_gap_s}
    s = ExtractSettings.model_validate({**provenance["settings"], **kept})
    wanted = dict(provenance["weights"])
    if weights.parse_random(spec) is not None:
        files = _calibrated_before(wanted, ctx.cache)
    else:
        given = ctx.settings.extract.weights
        asked = given if given != "default" else spec
        files = {k: v.path for k, v in weights.resolve(asked, s.streams, ctx.progress, ctx.cache.root).items()}
    found = {stream: ctx.cache.sha256(path) for stream, path in files.items()}
    for stream in s.streams:
        if found[stream] != wanted[stream]:
            raise WeightsError(
                f"{files[stream]}: not the {stream} weights the model's features were made with "
                f"(SHA-256 {wanted[stream][:12]}…); pass the right ones with --weights"
            )
    return Recipe(s, files, found)


def resolved(settings: ExtractSettings) -> ExtractSettings:
    """Name the decoder and flow backend that ``auto`` stands for on this machine."""
    engine = flow.choose(settings.flow.backend) if "flow" in settings.streams else "none"
    return settings.model_copy(
        update={
            "decoder": decoders.choose(settings.decoder),
            "flow": settings.flow.model_copy(update={"backend": engine}),
        }
    )


@contextmanager
def lend_extractor(recipe: Recipe, ctx: Context) -> Iterator[Extractor]:
    """Open the engines for a while."""
    from extract.features import Extractor
    from tal.devices import pick_device

    device = pick_device(ctx.settings.runtime.device)
    random = weights.parse_random(recipe.settings.weights) is not None
    if random:
        ctx.progress.say("random I3D weights: features carry motion and texture, not Kinetics knowledge")
    networks = {}
    for stream, path in recipe.weights.items():
        state = weights.load(path, stream)
        if not random:
            ctx.progress.say(f"{stream} weights {path}: {weights.verify(state, stream)}")
        networks[stream] = _network(state, stream).to(device)
    extractor = Extractor(recipe.settings, ctx.settings.runtime, networks, recipe.provenance)
    try:
        yield extractor
    finally:
        for note in extractor.notes:
            ctx.progress.say(note)
        extractor.close()


def _network(state: Mapping[str, Tensor], stream: str) -> I3D:
    from extract.i3d import CHANNELS, I3D

    network = I3D(CHANNELS[stream])
    network.load_state_dict(state)
    return network.eval()


def _calibrated(seed: int, s: ExtractSettings, videos: Sequence[Path], ctx: Context) -> dict[str, Path]:
    """Return random weights whose BatchNorm statistics come from the first videos that can be read."""
    first = sorted(videos, key=video_name)[: s.calibration_videos]
    fields = {
        "seed": seed,
        "videos": [ctx.cache.sha256(path) for path in first],
        "clips_per_video": CLIPS_PER_VIDEO,
        "settings": s.model_dump(mode="json", exclude=NOT_IN_KEY | {"tail", "stride"}),
    }
    entry = Cache(ctx.cache.root).get(CALIBRATE, fields, lambda work: _calibrate(work, seed, s, first, ctx))
    return {stream: entry.path / f"i3d_{stream}.safetensors" for stream in s.streams}


def _calibrate(work: Path, seed: int, s: ExtractSettings, videos: Sequence[Path], ctx: Context) -> None:
    from extract.features import network_input
    from extract.i3d import CHANNELS, I3D

    clips = _first_clips(videos, s, ctx)
    if not clips:
        raise WeightsError("random weights cannot be calibrated: none of the first videos could be read")
    for stream in s.streams:
        network = I3D(CHANNELS[stream])
        network.load_state_dict(weights.random_state(seed, stream))
        weights.calibrate(network, [network_input(clips, stream)])
        weights.save(work / f"i3d_{stream}.safetensors", network.state_dict(), f"random:{seed}")


def _first_clips(videos: Sequence[Path], s: ExtractSettings, ctx: Context) -> list[Frames]:
    from extract.features import open_flow, sample_clips

    engine, clips = open_flow(s, ctx.settings.runtime), []
    with ctx.progress.task("calibrate random weights", len(videos), "videos") as bar:
        for path in videos:
            try:
                clips += sample_clips(path, s, engine, CLIPS_PER_VIDEO)
            except TalError as error:
                ctx.progress.say(f"not used for calibration: {error}")
            bar.advance(1, path.name)
    if engine is not None:
        engine.close()
    return clips


def _calibrated_before(wanted: Mapping[str, str], cache: Cache) -> dict[str, Path]:
    for entry in cache.entries(CALIBRATE.name):
        files = {stream: entry.path / f"i3d_{stream}.safetensors" for stream in wanted}
        if all(path.is_file() and cache.sha256(path) == wanted[stream] for stream, path in files.items()):
            return files
    raise WeightsError(
        f"the model's features were made with random weights that are not in the cache {cache.root}; "
        "extract and train again, or use the cache of that run (--cache)"
    )
