"""All stages in a row, each of them only as far as needed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tal.annotations import Labels, Truth, read_labels, read_truth
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
from tal.pipeline.run_folders import DETECTIONS, EVALUATION, RunFolder, open_run_folder
from tal.progress import Progress
from tal.results import Results, to_json
from tal.settings import Settings

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
        addresses: Where people find the run, its model and its detections: URLs, if they were sent to some. The other
            paths here are those of this machine.
    """

    extraction: ExtractReport
    run: Run
    results: Results
    detections: Path
    evaluation: Evaluation | None
    kept: Mapping[str, bool]
    addresses: Mapping[Path, str] = field(default_factory=dict)

    def address(self, path: Path) -> str:
        """Return where people find the run, its model or its detections."""
        return self.addresses.get(path, str(path))


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
        out: Folder or URL for ``features/`` and ``runs/<name>/``; of a URL, each output is sent when it is whole.
        name: Name of the run; default: the method's.
        cache: Where stages' outputs are kept.
        progress: Who is told.
    """
    ctx = context(settings, cache, progress)
    with open_run_folder(out, ctx) as (place, told):
        return _run(videos, Given.read(labels, annotations), place, name, told)


@dataclass(frozen=True)
class Given:
    """What is known of the videos.

    Attributes:
        labels: Video-level labels.
        truth: Ground truth, if there is some.
    """

    labels: Labels
    truth: Truth | None

    @classmethod
    def read(cls, labels: Path | str, annotations: Path | str | None) -> Given:
        """Read both."""
        return cls(read_labels(Path(labels)), read_truth(Path(annotations)) if annotations else None)


def _run(videos: Paths, given: Given, place: RunFolder, name: str | None, ctx: Context) -> RunReport:
    s, c, p = ctx.settings, ctx.cache, ctx.progress
    extracted = extract(videos, place.features, s, cache=c, progress=p)
    features, files = place.local(extracted.shards)
    advice = [one for one in advise_training(given.labels, features) if one.code != "unlabelled"]  # those are to test
    for one in advice:
        p.say(f"note: {one}")
    without = extracted.failures
    trained = train(features, given.labels, s, name=name, runs=place.runs, without=without, cache=c, progress=p)
    write_advice(trained.path, advice)
    place.send(trained.path)
    results, cached = localize_shards(files, trained.path, ctx)
    detections = trained.path / DETECTIONS
    write_detections(detections, results)
    place.send(trained.path, DETECTIONS)
    kept = {"train": trained.cached, "localize": cached}
    evaluation = None
    if given.truth:
        evaluation, kept["evaluate"] = _evaluate(results, given.truth, given.labels.by_video, ctx, trained.path)
        place.send(trained.path, EVALUATION)
    addresses = {path: place.address(path) for path in (trained.path, trained.model, detections)}
    return RunReport(extracted, trained, results, detections, evaluation, kept, addresses)


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
    place(entry.path / "evaluation.json", folder / EVALUATION)
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
