"""Which detections are written."""

from __future__ import annotations

from collections.abc import Iterable

from tal.errors import ConfigError, suggest
from tal.exports._base import ExportOptions
from tal.results import Results
from tal.types import Detection


def choose(results: Results, options: ExportOptions) -> dict[str, tuple[Detection, ...]]:
    """Return what is written of each video, by start; videos of which nothing is left are kept.

    Raises:
        ConfigError: If a class occurs nowhere, or nothing can be left.
    """
    if options.top is not None and options.top < 1:
        raise ConfigError(f"--top {options.top}: write how many detections of each video to keep, at least 1")
    wanted = frozenset(options.labels)
    if wanted:
        _check(wanted, {d.label for found in results.by_video.values() for d in found})
    return {video: _chosen(found, options, wanted) for video, found in results.by_video.items()}


def _check(wanted: Iterable[str], known: set[str]) -> None:
    for label in sorted(wanted):
        if label not in known:
            raise ConfigError(f"--class '{label}': no detection is of this class{suggest(label, known)}")


def _chosen(found: Iterable[Detection], options: ExportOptions, wanted: frozenset[str]) -> tuple[Detection, ...]:
    least = float("-inf") if options.min_score is None else options.min_score
    kept = [d for d in found if d.score >= least and (not wanted or d.label in wanted)]
    kept = sorted(kept, key=lambda d: -d.score)[: options.top]
    return tuple(sorted(kept, key=lambda d: (d.segment.start_s, d.segment.end_s, d.label, -d.score)))
