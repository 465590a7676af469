"""Random weights for demos and tests: BatchNorm statistics set from the first videos, kept in the stage cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract import backbones, weights
from extract.video import video_name
from tal.cache import Cache, Stage
from tal.errors import InputError, TalError, WeightsError
from tal.pipeline import flow_folders
from tal.pipeline.context import Context
from tal.pipeline.sources import at_hand
from tal.settings import ExtractSettings

if TYPE_CHECKING:
    from torch import Tensor

    from extract.features import Frames

CALIBRATE = Stage("calibrate", version=1)
CLIPS_PER_VIDEO = 4
NOT_IN_KEY = {"weights", "calibration_videos", "max_gap_s", "flow_images"}
"""Settings that do not determine features: weights and flow images are named by their digest."""


def calibrated(seed: int, s: ExtractSettings, videos: Sequence[Path], ctx: Context) -> dict[str, Path]:
    """Return random weights whose BatchNorm statistics come from the first videos that can be read."""
    first, fields = _calibration(seed, s, videos, ctx.cache)
    entry = Cache(ctx.cache.root).get(CALIBRATE, fields, lambda work: _calibrate(work, seed, s, first, ctx))
    return _files(entry.path, s.backbone, s.streams)


def calibrated_already(seed: int, s: ExtractSettings, videos: Sequence[Path], ctx: Context) -> dict[str, Path]:
    """Return what `calibrated` would if that is in the cache, else nothing."""
    entry = ctx.cache.find(CALIBRATE, _calibration(seed, s, videos, ctx.cache)[1])
    return _files(entry.path, s.backbone, s.streams) if entry else {}


def calibrated_before(wanted: Mapping[str, str], backbone: str, cache: Cache) -> dict[str, Path]:
    """Return the calibrated weights with these digests.

    Args:
        wanted: Stream to the SHA-256 of the file.
        backbone: Whose weights they are.
        cache: Where they may lie.

    Raises:
        WeightsError: If they are not there.
    """
    for entry in cache.entries(CALIBRATE.name):
        files = _files(entry.path, backbone, tuple(wanted))
        if all(path.is_file() and cache.sha256(path) == wanted[stream] for stream, path in files.items()):
            return files
    raise WeightsError(
        f"the model's features were made with random weights that are not in the cache {cache.root}; "
        "extract and train again, or use the cache of that run (--cache)"
    )


def _files(folder: Path, backbone: str, streams: Sequence[str]) -> dict[str, Path]:
    return {stream: folder / f"{backbone}_{stream}.safetensors" for stream in streams}


def _calibration(
    seed: int, s: ExtractSettings, videos: Sequence[Path], cache: Cache
) -> tuple[list[Path], dict[str, Any]]:
    """Return the videos that random weights are calibrated on, and what determines the weights."""
    first = sorted(videos, key=video_name)[: s.calibration_videos]
    fields: dict[str, Any] = {
        "seed": seed,
        "videos": [cache.sha256(path) for path in first],
        "clips_per_video": CLIPS_PER_VIDEO,
        "settings": s.model_dump(mode="json", exclude=NOT_IN_KEY | {"tail", "stride", "precision"}),
    }
    if s.reads_flow:
        fields["flow_images"] = [_flow_digest(path, s, cache) for path in first]
    return first, fields


def _flow_digest(video: Path, s: ExtractSettings, cache: Cache) -> str | None:
    try:
        return flow_folders.digest(video, s, cache)
    except InputError:
        return None  # such a video is not calibrated on


def _calibrate(work: Path, seed: int, s: ExtractSettings, videos: Sequence[Path], ctx: Context) -> None:
    from extract.features import network_input

    clips = _first_clips(videos, s, ctx)
    if not clips:
        raise WeightsError(
            "random weights cannot be calibrated: none of the first videos could be read; see them with 'tal probe'"
        )
    for stream, path in _files(work, s.backbone, s.streams).items():
        shapes = groupby(clips, key=lambda one: one.rgb.shape)
        batches = [network_input(list(same), stream) for _, same in shapes]
        weights.save(path, _state(seed, s.backbone, stream, batches), f"random:{seed}")


def _state(seed: int, backbone: str, stream: str, batches: Sequence[Tensor]) -> Mapping[str, Tensor]:
    from extract.i3d import CHANNELS, I3D

    if backbone != "i3d":
        embedder = backbones.load(backbone, seed, stream=stream)
        embedder.calibrate(batches)
        return embedder.state_dict()
    network = I3D(CHANNELS[stream])
    network.load_state_dict(weights.random_state(seed, stream))
    weights.calibrate(network, batches)
    return network.state_dict()


def _first_clips(videos: Sequence[Path], s: ExtractSettings, ctx: Context) -> list[Frames]:
    from extract.features import open_flow, sample_clips

    engine, clips = open_flow(s, ctx.settings.runtime), []
    with ctx.progress.task("calibrate random weights", len(videos), "videos") as bar:
        for path in videos:
            try:
                with at_hand(ctx.cache, path):
                    clips += sample_clips(path, s, engine, CLIPS_PER_VIDEO)
            except TalError as error:
                ctx.progress.say(f"not used for calibration: {error}")
            bar.advance(1, path.name)
    if engine is not None:
        engine.close()
    return clips
