"""What an extraction would do, found out without writing anything: shards' headers, digests, probing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

from extract import backbones, decoders, flow_images
from extract.decoders._base import check_file
from extract.resample import slot_of
from extract.snippets import n_snippets
from extract.video import video_name
from tal import shards
from tal.cache import Cache, difference
from tal.errors import InputError, ShardError
from tal.ledger import recorded
from tal.pipeline import speeds
from tal.pipeline.context import Context, context
from tal.pipeline.engines import Recipe, recipe_if_there, resolved
from tal.pipeline.flow_folders import SavedFlow
from tal.pipeline.keys import Paths, as_paths, key_of, shard_path, source
from tal.pipeline.looks import Looks, noted_stamp
from tal.pipeline.outlets import Outlet, open_outlet
from tal.pipeline.parts import WHOLE, Part, Selection
from tal.pipeline.peeking import peeking
from tal.pipeline.plans import Plan, Planned
from tal.pipeline.sources import Sources, StagedCache, open_sources
from tal.pipeline.surveying import first_usable
from tal.progress import Progress, paced
from tal.settings import ExtractSettings, Settings

__all__ = ["Plan", "Planned", "plan_extraction"]

HEADER_BYTES = 1500
"""About what a shard holds beside its tensors."""
MAX_CHANGES = 3
NO_FLOW = "its flow images are not there"
NO_TIME = "no estimate of time: nothing was extracted with these settings on this machine so far"
NO_WEIGHTS = "the weights are not here yet: shards are compared without them"


def plan_extraction(
    videos: Paths,
    out: Path | str = "features",
    settings: Settings | None = None,
    *,
    part: Part = WHOLE,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    retry_failed: bool = False,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Say what `extract` would do with the same arguments; writes nothing, fetches nothing, decodes nothing.

    Damage inside a video does not show: only extracting or `probe` with ``full`` reads it whole.

    Raises:
        InputError: If there are no videos, or two have the same name.
        ConfigError: If `only` fits no video.
        WeightsError: If weights that were named are not there.
        BackendError: If a decoder or flow engine that was asked for is not there.
    """
    paths, selection = as_paths(videos), Selection(part, tuple(only), tuple(skip))
    with open_sources(paths, context(settings, cache, progress)) as (sources, given):
        return _plan(sources, sources.find(paths), str(out), selection, retry_failed, given)


def _plan(
    sources: Sources, found: Sequence[Path], out: str, selection: Selection, retry_failed: bool, given: Context
) -> Plan:
    mine = selection.of(found)
    outlet = open_outlet(out, given.cache.root, given.settings.runtime, read_only=True)
    with peeking(given.cache) as memo:
        peek = StagedCache(memo, sources.stage) if sources.stage else memo
        planner = _Planner(Context(given.settings, peek, given.progress), outlet, sources, found, retry_failed)
        with given.progress.task("look", len(mine), "videos") as bar:
            done = [planner.plan(path) for path in paced(mine, bar)]
    notes = (NO_WEIGHTS,) if planner.lacks_weights else ()
    return Plan(tuple(done), (*notes, *planner.time(done)))


class _Planner:
    """Decides video by video; weights and decoder are looked for when a video first needs them."""

    def __init__(
        self, ctx: Context, outlet: Outlet, sources: Sources, videos: Sequence[Path], retry_failed: bool
    ) -> None:
        self._ctx, self._outlet, self._sources, self._videos = ctx, outlet, sources, videos
        self._known, self._retry = recorded(outlet.folder), retry_failed
        self._saved = SavedFlow.of(ctx.settings)
        self._settings = resolved(ctx.settings.extract, ctx.settings.runtime.device)
        self._recipe: list[Recipe | None] = []

    @property
    def lacks_weights(self) -> bool:
        """Whether shards were compared without knowing the weights."""
        return self._recipe == [None]

    def plan(self, path: Path) -> Planned:
        """Say what would become of a video."""
        target = shard_path(self._outlet.folder, path)
        try:
            return self._noted(path, target) or self._found_out(path, target)
        except OSError as error:
            return _unusable(path, f"cannot read: {error.strerror}")
        except InputError as error:
            return _unusable(path, str(error))

    def _found_out(self, path: Path, target: Path) -> Planned:
        """Say what would become of a video of which the ledger does not tell."""
        if not self._sources.is_remote(path):
            check_file(path)
        self._check_flow(path)
        if self._sources.is_remote(path) or self._outlet.is_remote:
            return self._plan_remote(path, target)
        reason = self._why_redo(path, target) if target.exists() else ""
        if target.exists() and not reason:
            return _kept(path, target)
        if self._is_poison(path):
            return _unusable(path, self._known[video_name(path)].note)
        duration_s, n = self._length(path)
        n_bytes = None if n is None else _shard_bytes(n, self._settings)
        return Planned(path, "redo" if reason else "make", reason, duration_s, n, n_bytes)

    def time(self, planned: Sequence[Planned]) -> tuple[str, ...]:
        """Say how long the work would take, as far as earlier extractions tell."""
        due = [one.n_snippets or 0 for one in planned if one.action in ("make", "redo")]
        if not due:
            return ()
        used = self._ctx.settings.model_copy(update={"extract": self._settings})
        rate = speeds.snippets_per_s(self._ctx.cache, used)
        if rate is None:
            return (NO_TIME,)
        return (f"about {timedelta(seconds=ceil(sum(due) / rate))} at {rate:.3g} snippets/s, as the last time",)

    def _plan_remote(self, path: Path, target: Path) -> Planned:
        """Say what would become of a video without fetching anything: headers are read, lengths are not known."""
        place = Path(self._sources.address(path) or path)
        known = not self._sources.is_remote(path) or self._sources.digest(path)
        fields = self._key_fields()
        if known and "weights" in fields and not self._ctx.cache.force:
            key = key_of(source(path, self._settings, self._ctx.cache), fields)
            if self._outlet.has(target, key) and self._saved.is_kept(path, key):
                about = self._outlet.record(target)
                return Planned(place, "keep", "", about.duration_s, about.n_snippets)
        if known and self._is_poison(path):
            return Planned(place, "unusable", self._known[video_name(path)].note)
        return Planned(place, "make")

    def _noted(self, path: Path, target: Path) -> Planned | None:
        """Return that a shard is kept which the ledger vouches for, as `tal.pipeline.surveying` believes it."""
        one = self._known.get(video_name(path))
        if one is None or not one.is_finished or self._ctx.cache.force or not self._looks:
            return None
        try:
            noted = noted_stamp(one, self._looks.of(path))
        except OSError:
            return None  # the file is gone, which is told in other words
        if not noted or self._outlet.stamp(target) != noted or not self._saved.is_kept(path, one.key):
            return None
        n_bytes = None if self._outlet.is_remote else target.stat().st_size
        place = Path(self._sources.address(path) or path)
        return Planned(place, "keep", "", one.duration_s, one.n_snippets, n_bytes)

    @cached_property
    def _looks(self) -> Looks | None:
        recipe = self._recipe_here()
        return Looks(recipe, self._sources) if recipe else None

    def _check_flow(self, path: Path) -> None:
        self._saved.check(path)
        if self._settings.reads_flow:
            flow_images.files_of(flow_images.of_video(Path(self._settings.flow_images), path))

    def _why_redo(self, path: Path, target: Path) -> str:
        """Return why a shard that is there would be made again, or nothing."""
        if self._ctx.cache.force:
            return "forced"
        try:
            shards.read(target)
            about = shards.header(target)
        except ShardError as error:
            return str(error).removeprefix(f"{target}: ").removesuffix("; run 'tal extract' again")
        digests, fields = source(path, self._settings, self._ctx.cache), self._key_fields()
        if "weights" in fields and about.key == key_of(digests, fields):
            return "" if self._saved.is_kept(path, about.key) else NO_FLOW
        return _changes(about, digests, fields) or ("made by another version of tal" if "weights" in fields else "")

    def _is_poison(self, path: Path) -> bool:
        """Return whether the process died that made this very shard, as far as that can be told."""
        one = None if self._retry else self._known.get(video_name(path))
        if one is None or one.state != "poison" or "weights" not in (fields := self._key_fields()):
            return False
        return one.key == key_of(source(path, self._settings, self._ctx.cache), fields)

    def _key_fields(self) -> Mapping[str, Any]:
        """Return what determines features beside the video, without the weights where they are not here."""
        if recipe := self._recipe_here():
            return recipe.key_fields
        return {"settings": Recipe(self._settings, {}, {}).key_fields["settings"]}

    def _recipe_here(self) -> Recipe | None:
        if not self._recipe:
            calibrating = first_usable(self._videos, self._sources, self._ctx.settings.extract)
            self._recipe.append(recipe_if_there(self._ctx, calibrating))
        return self._recipe[0]

    def _length(self, path: Path) -> tuple[float | None, int | None]:
        """Return a video's end in seconds and its snippets, as far as the file says."""
        info, fps = decoders.load(self._settings.decoder).probe(path), self._settings.fps
        if info.duration_s is None:
            return None, None
        n_frames = max(1, slot_of(info.duration_s, fps) - slot_of(info.start_s, fps))
        return float(info.duration_s), n_snippets(n_frames, self._settings)


def _changes(about: shards.ShardHeader, digests: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    before = {name: about.provenance.get(name, {}) for name in fields}
    lines = difference(before, fields)
    video = about.provenance.get("video", {})
    if {"flow_images"} <= video.keys() & digests.keys() and video["flow_images"] != digests["flow_images"]:
        lines.insert(0, "the flow images have changed")
    if video.get("sha256") != digests["video"]:
        lines.insert(0, "the video has changed")
    more = [f"{len(lines) - MAX_CHANGES} more"] if len(lines) > MAX_CHANGES else []
    return ", ".join([*lines[:MAX_CHANGES], *more])


def _kept(path: Path, target: Path) -> Planned:
    about = shards.header(target)
    return Planned(path, "keep", "", about.duration_s, about.grid.n_snippets, target.stat().st_size)


def _unusable(path: Path, reason: str) -> Planned:
    return Planned(path, "unusable", reason.removeprefix(f"{path}: "))


def _shard_bytes(n: int, settings: ExtractSettings) -> int:
    per_snippet = 4 * (
        backbones.get(settings.backbone).n_features * len(settings.streams) + ("flow" in settings.streams)
    )
    return HEADER_BYTES + n * per_snippet
