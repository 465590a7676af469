"""An evaluation as rows, as CSV and as LaTeX; every form names the protocol, the subset and the set of videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tal.csv_text import written
from tal.evaluation.evaluation import Evaluation, Floats
from tal.settings.evaluation import AVERAGES

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {mark: f"\\{mark}" for mark in "&%$#_{}"}


def columns(found: Evaluation) -> list[str]:
    """Return what the values of a row stand for: each threshold, then each mean over thresholds."""
    return [*(f"{t:g}" for t in found.tiou), *(name for name, _ in _means(found))]


def rows(found: Evaluation) -> Iterator[tuple[str, list[float]]]:
    """Yield name and values in [0, 1]: mAP and recall over all classes, then AP of each class."""
    named = [("mAP", found.map), ("recall", found.recall.mean(axis=0)), *zip(found.classes, found.ap, strict=True)]
    for name, values in named:
        yield name, [*values.tolist(), *(float(values[which].mean()) for _, which in _means(found))]


def _means(found: Evaluation) -> list[tuple[str, list[int]]]:
    """Return the means over several thresholds: their names and the indices of their thresholds.

    The mean over all thresholds is called ``average`` where it is none of the published ones.
    """
    if len(found.tiou) == 1:
        return []
    position = {t: n for n, t in enumerate(found.tiou)}
    means = [(name, [position[t] for t in AVERAGES[name]]) for name in found.averages]
    if all(len(which) < len(found.tiou) for _, which in means):
        means.append(("average", list(range(len(found.tiou)))))
    return means


def to_csv(found: Evaluation) -> str:
    """Return one line per number: ``protocol,subset,videos,metric,label,tiou,value``; values in [0, 1]."""
    told = (found.protocol, found.subset, found.videos)
    rows = ((*told, metric, label, tiou, repr(float(value))) for metric, label, tiou, value in _numbers(found))
    return written([("protocol", "subset", "videos", "metric", "label", "tiou", "value"), *rows])


def _numbers(found: Evaluation) -> Iterator[tuple[str, str, str, float]]:
    for metric, values in (("mAP", found.map), ("recall", found.recall.mean(axis=0))):
        yield from _over_tiou(found, metric, "", values)
    for metric, per_class in (("AP", found.ap), ("recall", found.recall)):
        for label, values in zip(found.classes, per_class, strict=True):
            yield from _over_tiou(found, metric, label, values)
    yield "video mAP", "", "", found.video_map
    yield from (("video AP", label, "", value) for label, value in zip(found.classes, found.video_ap, strict=True))
    if found.frame_accuracy is not None:
        yield "frame accuracy", "", "", found.frame_accuracy


def _over_tiou(found: Evaluation, metric: str, label: str, values: Floats) -> Iterator[tuple[str, str, str, float]]:
    yield from ((metric, label, f"{t:g}", value) for t, value in zip(found.tiou, values, strict=True))
    yield from ((metric, label, name, values[which].mean()) for name, which in _means(found))


def to_latex(found: Evaluation) -> str:
    """Return a ``tabular`` that needs no package; values in percent."""
    about = f"{found.name}: {found.n_videos} videos, {found.n_instances} instances; AP and recall in %"
    more = f"{found.protocol}: video mAP {100 * found.video_map:.1f}"
    if found.frame_accuracy is not None:
        more += f", frame accuracy {100 * found.frame_accuracy:.1f}"
    names = columns(found)
    head = ", ".join(filter(None, (found.protocol, found.videos))) + " (%)"
    overall_1, overall_2, *classes = [_row(name, [f"{100 * v:.1f}" for v in values]) for name, values in rows(found)]
    body = [_row(head, names), r"\hline", overall_1, overall_2, r"\hline", *classes]
    top = [f"% {' '.join(about.split())}", f"% {more}", rf"\begin{{tabular}}{{l{'r' * len(names)}}}", r"\hline"]
    return "\n".join([*top, *body, r"\hline", r"\end{tabular}", ""])


def _row(name: str, cells: Sequence[str]) -> str:
    return " & ".join((latex(name), *cells)) + r" \\"


def latex(text: str) -> str:
    """Return text as LaTeX shows it, on one line."""
    return "".join(_LATEX.get(c, c) for c in " ".join(text.split()))
