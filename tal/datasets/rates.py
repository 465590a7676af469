"""At which rate features were really made: how many snippets there are against how long the videos are.

Features at a wrong rate are the commonest silent error with copies: training works, segments land elsewhere. A video of
d seconds has about (d * fps - length) / stride + 1 snippets; conventions differ in its last snippet, durations by a
few pictures, so a count fits within 2 snippets and 1 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

from tal.datasets import NATIVE, Dataset, FeatureGrid

SLACK, SHARE = 2.0, 0.01
MOST = 0.9
"""A rate fits a collection if it fits this share of the videos."""
_USUAL_FPS = (Fraction(25), Fraction(30), NATIVE, Fraction(10), Fraction(24), Fraction(15))
_USUAL_STRIDES = (16, 4, 8, 15)


@dataclass(frozen=True)
class RateReport:
    """What snippet counts say.

    Attributes:
        n_videos: Videos of known length.
        misfits: Those whose count does not fit what the features claim.
        factor: How many times the claimed number there are, in the median; 1 without a claim.
        best: The usual rate that fits most videos, where it fits nearly all.
        n_best: How many it fits.
        fixed: The number of snippets of every video, where all have the same and lengths differ; else 0.
    """

    n_videos: int
    misfits: tuple[str, ...]
    factor: float
    best: FeatureGrid | None
    n_best: int
    fixed: int


def expected(duration_s: float, grid: FeatureGrid, own_fps: Fraction | None) -> float | None:
    """Return about how many snippets a video has; None where its own rate is wanted and not known."""
    fps = own_fps if isinstance(grid.fps, str) else grid.fps
    return None if fps is None else (duration_s * float(fps) - grid.length) / grid.stride + 1


def fits(n_snippets: int, predicted: float) -> bool:
    """Return whether a count is within the tolerance, and a video shorter than a snippet has one."""
    return abs(n_snippets - max(predicted, 1)) <= SLACK + SHARE * predicted


def judge(
    counts: Mapping[str, int], durations_s: Mapping[str, float], claims: Mapping[str, FeatureGrid], about: Dataset
) -> RateReport:
    """Compare snippet counts with the lengths of videos.

    Args:
        counts: Snippets of each video.
        durations_s: Lengths of videos, seconds.
        claims: What the features say about their rate; empty where they say nothing.
        about: The data set.
    """
    known = [video for video in counts if durations_s.get(video, 0) > 0]
    others = about.other_rates
    own = {video: others.get(video, about.fps) for video in known}
    ratios, misfits = [], []
    for video in (video for video in known if video in claims):
        predicted = expected(durations_s[video], claims[video], own[video]) or 1
        ratios.append(counts[video] / max(predicted, 1))
        if not fits(counts[video], predicted):
            misfits.append(video)
    best, n_best = _best(known, counts, durations_s, own, list(_candidates(about, claims)))
    factor = median(ratios) if ratios else 1.0
    return RateReport(len(known), tuple(misfits), factor, best, n_best, _fixed(known, counts, durations_s))


def _best(
    known: list[str],
    counts: Mapping[str, int],
    durations_s: Mapping[str, float],
    own: Mapping[str, Fraction | None],
    candidates: list[FeatureGrid],
) -> tuple[FeatureGrid | None, int]:
    """Return the rate that fits most videos, the first of equal ones, and how many it fits."""
    fitting = []
    for grid in candidates:
        predicted = {video: expected(durations_s[video], grid, own[video]) for video in known}
        fitting.append(sum(p is not None and fits(counts[video], p) for video, p in predicted.items()))
    most = max(fitting, default=0)
    if not known or most < MOST * len(known):
        return None, most
    return candidates[fitting.index(most)], most


def _candidates(about: Dataset, claims: Mapping[str, FeatureGrid]) -> Iterator[FeatureGrid]:
    """Yield the data set's public rates, then the usual ones, those with the claimed stride first."""
    yield from about.grids
    claimed = {grid.stride: grid for grid in claims.values()}
    for stride in (*claimed, *(stride for stride in _USUAL_STRIDES if stride not in claimed)):
        length = claimed[stride].length if stride in claimed else 16
        for fps in _USUAL_FPS:
            yield FeatureGrid.model_validate({"name": "unnamed", "fps": fps, "stride": stride, "length": length})


def _fixed(known: list[str], counts: Mapping[str, int], durations_s: Mapping[str, float]) -> int:
    lengths = [durations_s[video] for video in known]
    n = {counts[video] for video in known}
    return n.pop() if len(n) == 1 and len(known) > 2 and max(lengths) > 1.5 * min(lengths) else 0
