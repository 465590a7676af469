"""Public feature sets -> one shard per video, and shards -> the files that other people's code reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tal import feature_sets, shards
from tal.cache import Cache
from tal.csv_text import written
from tal.errors import ConfigError, InputError, ShardError
from tal.feature_sets import ImportOptions, check_streams
from tal.files import write_atomic
from tal.pipeline.context import context
from tal.pipeline.feature_importing import Importer, ImportReport, Source
from tal.progress import Progress

__all__ = ["ExportReport", "ImportOptions", "ImportReport", "export_features", "import_features"]

GRIDS = "grids.json"


@dataclass(frozen=True)
class ExportReport:
    """What an export did.

    Attributes:
        videos: Names of the videos that were written.
        failures: Video name to the one-line reason of its failure.
    """

    videos: tuple[str, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"videos": list(self.videos), "failures": dict(self.failures)}


def import_features(
    format_name: str,
    source: Path | str,
    out: Path | str,
    options: ImportOptions | None = None,
    *,
    labels: Path | str | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Turn a public feature set into one shard per video.

    A video that fails is listed in the report and does not stop the others. A shard that is there and was made of the
    same files with the same options is kept; one that was extracted is only replaced by a cache with ``force``.

    Args:
        format_name: One of `tal.feature_sets.importable`.
        source: The file or folder of the set.
        out: Folder for ``<video>.safetensors``.
        options: What the user says about it; default: as published.
        labels: CSV file to write the labels to that travel with the features.
        cache: Where digests of files are remembered.
        progress: Who is told.

    Raises:
        ConfigError: If the format is unknown, or needs options that are not given.
        InputError: If there is nothing of the format.
        StorageError: If the folder cannot be written; what was finished before is kept.
    """
    asked, ctx, folder = options or ImportOptions(), context(None, cache, progress), Path(out)
    module = feature_sets.load(format_name, "import")
    if asked.streams is not None:
        check_streams(asked.streams)
    if labels is not None and not hasattr(module, "labels"):
        raise ConfigError(f"{format_name}: no labels travel with these features; leave out --labels")
    known = feature_sets.read_durations(asked.durations) if asked.durations else {}
    if module.LAYOUT.rate == "rescaled" and not known:
        raise ConfigError(
            f"{format_name}: rows are rescaled, their rate follows from the videos' durations: --durations FILE"
        )
    importer = Importer(Source(format_name, module.LAYOUT, asked, known), folder, ctx)
    with ctx.progress.task(f"import {format_name}", None, "videos") as bar:
        for item in module.find(Path(source), asked):
            importer.take(item)
            bar.advance(1, item.name)
    if labels is not None:
        _write_labels(Path(labels), module.labels(Path(source), asked), asked.strip)
    return importer.report()


def _write_labels(path: Path, rows: Iterator[tuple[str, str, str]], strip: str) -> None:
    named = ((video.removeprefix(strip), label, subset) for video, label, subset in rows)
    write_atomic(path, written([("video", "label", "subset"), *named]))


def export_features(
    features: Path | str, out: Path | str, to: str = "npy", *, force: bool = False, progress: Progress | None = None
) -> ExportReport:
    """Write shards as the files that other people's code reads.

    ``grids.json`` beside them keeps what those files do not say: each video's grid and duration.

    Args:
        features: Folder of shards.
        out: Folder to write to.
        to: One of `tal.feature_sets.exportable`.
        force: Overwrite files that are there.
        progress: Who is told.

    Raises:
        ConfigError: If there is no such format.
        InputError: If there are no shards, or a joint file is there already.
    """
    module, ctx, target = feature_sets.load(to, "export"), context(None, None, progress), Path(out)
    paths = sorted(Path(features).glob(f"*{shards.SUFFIX}"))
    if not paths:
        raise InputError(f"{features}: no shards; 'tal extract' or 'tal import-features' makes them")
    grids: dict[str, Any] = {}
    failures: dict[str, str] = {}
    with module.exporting(target, force) as add, ctx.progress.task(f"export {to}", len(paths), "videos") as bar:
        for path in paths:
            name = path.name.removesuffix(shards.SUFFIX)
            try:
                found = shards.read(path)
                add(feature_sets.safe_name(name), found)
                grids[name] = {**found.grid.to_dict(), "duration_s": found.duration_s}
            except (InputError, ShardError) as error:
                failures[name] = str(error)
                ctx.progress.say(f"failed: {name}: {error}")
            bar.advance(1, name)
    if grids:
        write_atomic(target / GRIDS, json.dumps(grids, indent=1, ensure_ascii=False))
    return ExportReport(tuple(grids), failures)
