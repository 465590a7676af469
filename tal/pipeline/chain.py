"""All stages in a row, each of them only as far as needed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tal.annotations import Truth, read_labels, read_truth
from tal.cache import Cache, Stage
from tal.errors import ConfigError
from tal.evaluation import Evaluation
from tal.files import digest_of, place
from tal.pipeline.advising import advise_training, write_advice
from tal.pipeline.context import Context, context
from tal.pipeline.evaluating import evaluate
from tal.pipeline.extraction import ExtractReport, Paths, extract
from tal.pipeline.learning import Run, train
from tal.pipeline.localizing import localize_shards, write_detections
from tal.progress import Progress
from tal.results import Results, to_json
from tal.settings import Settings
from tal.storage import shown, url_of

EVALUATE = Stage("evaluate", version=1)


@dataclass(frozen=True)
class RunReport:
    """What a chain of stages did.

    Attributes:
        extraction: Shards, failures.
        run: The trained model.
        results: Detections of all videos.
        detections: Where they were written.
        evaluation: Comparison with the truth, where there is one.
        kept: Stage to whether its output had been made before.
    """

    extraction: ExtractReport
    run: Run
    results: Results
    detections: Path
    evaluation: Evaluation | None
    kept: Mapping[str, bool]


def run(
    videos: Paths,
    labels: Path | str,
    settings: Settings | None = None,
    *,
    annotations: Path | str | None = None,
    out: Path | str = ".",
    name: str | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Extract, train, localize and, with ground truth, evaluate.

    Args:
        videos: Video files and folders of them; all are localized, the labelled ones are trained on.
        labels: Video-level labels of the training videos.
        settings: Default: the shipped settings of STPN.
        annotations: Ground truth; by default the subset without labelled videos is evaluated.
        out: Folder for ``features/`` and ``runs/<name>/``.
        name: Name of the run; default: the method's.
        cache: Where stages' outputs are kept.
        progress: Who is told.
    """
    if url := url_of(out):
        raise ConfigError(f"{shown(url)}: a run is kept on this machine; name a local folder, or run its stages singly")
    ctx = context(settings, cache, progress)
    known, truth = read_labels(Path(labels)), read_truth(Path(annotations)) if annotations else None
    features, runs, (s, c, p) = Path(out) / "features", Path(out) / "runs", (ctx.settings, ctx.cache, ctx.progress)
    extracted = extract(videos, features, s, cache=c, progress=p)
    without = extracted.failures
    advice = [one for one in advise_training(known, features) if one.code != "unlabelled"]  # those are for testing
    for one in advice:
        p.say(f"note: {one}")
    trained = train(features, known, s, name=name, runs=runs, without=without, cache=c, progress=p)
    write_advice(trained.path, advice)
    results, cached = localize_shards(extracted.shards, trained.path, ctx)
    detections = trained.path / "detections.json"
    write_detections(detections, results)
    kept = {"train": trained.cached, "localize": cached}
    evaluation = None
    if truth:
        evaluation, kept["evaluate"] = _evaluate(results, truth, known.by_video, ctx, trained.path)
    return RunReport(extracted, trained, results, detections, evaluation, kept)


def _evaluate(
    results: Results, truth: Truth, labelled: Collection[str], ctx: Context, folder: Path
) -> tuple[Evaluation, bool]:
    """Return the evaluation and whether it was in the cache."""
    subset = ctx.settings.evaluate.subset or held_out(truth, labelled)
    chosen = ctx.settings.evaluate.model_copy(update={"subset": subset})
    fields = {
        "detections": digest_of(to_json(results)["results"]),
        "truth": digest_of(repr(sorted(truth.videos.items()))),
        "evaluate": chosen.model_dump(mode="json"),
    }

    def make(work: Path) -> None:
        found = evaluate(results, truth, ctx.settings.model_copy(update={"evaluate": chosen}))
        (work / "evaluation.json").write_text(json.dumps(found.to_dict(), indent=1) + "\n")

    entry = ctx.cache.get(EVALUATE, fields, make)
    place(entry.path / "evaluation.json", folder / "evaluation.json")
    return Evaluation.from_dict(json.loads((entry.path / "evaluation.json").read_text())), entry.hit


def held_out(truth: Truth, labelled: Collection[str]) -> str:
    """Return the one subset of the truth that holds no labelled video.

    Raises:
        ConfigError: If several or none do, and the truth has more than one subset.
    """
    if len(truth.subsets) == 1:
        return truth.subsets[0]
    free = [s for s in truth.subsets if not set(truth.select(s).videos) & set(labelled)]
    if len(free) != 1:
        raise ConfigError(f"which subset is to be evaluated? pass --subset, one of: {', '.join(truth.subsets)}")
    return free[0]
