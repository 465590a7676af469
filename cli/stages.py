"""The stages as commands: parse, call one pipeline function, render."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o

if TYPE_CHECKING:
    from tal.pipeline import ExtractReport
    from tal.results import Results

Videos = Annotated[list[Path], typer.Argument(help="Video files, or folders that are searched for them.")]
LabelsFile = Annotated[Path, typer.Option("--labels", "-l", help="CSV (video,label), JSON or THUMOS14 folder.")]
Subset = Annotated[str | None, typer.Option(help="Subset of the ground truth to evaluate.")]


def extract(
    videos: Videos,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of feature shards.")] = Path("features"),
    weights: o.Weights = None,
    decoder: o.Decoder = None,
    flow: o.Flow = None,
    fps: Annotated[str | None, typer.Option(help="Rate that frames are resampled to; default 25.")] = None,
    device: o.Device = None,
    workers: o.Workers = None,
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    force: o.Force = False,
    quiet: o.Quiet = False,
) -> None:
    """Extract two-stream I3D features, one shard per video.

    Shards that are there and were made with the same settings are kept.

    Examples:
        tal extract videos/

        tal extract videos/ -o features --weights random:0 --set extract.short_side=64 --set extract.crop=0
    """
    from cli import render
    from tal import config as configuration
    from tal import pipeline

    given = {
        "extract.weights": weights,
        "extract.decoder": decoder,
        "extract.flow.backend": flow,
        "extract.fps": fps,
        "runtime.device": device,
        "runtime.workers": workers,
    }
    settings = configuration.load(files=config, sets=sets, options=given)
    with o.environment(cache, force, quiet) as env:
        report = pipeline.extract(videos, out, settings, **env)
    render.extraction(report, out)
    _raise_failures(report)


def train(
    labels: LabelsFile,
    features: Annotated[Path, typer.Option("--features", "-f", help="Folder of feature shards.")] = Path("features"),
    method: o.MethodName = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; default: the method's.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    subset: Annotated[str, typer.Option(help="Subset of the labels file to train on.")] = "",
    seed: Annotated[int | None, typer.Option(help="Seed; default 0.")] = None,
    device: o.Device = None,
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    force: o.Force = False,
    quiet: o.Quiet = False,
) -> None:
    """Train a method on features and video-level labels.

    Writes runs/NAME/model.safetensors, config.yaml and metrics.jsonl and prints the folder. A training that was
    interrupted goes on from its last checkpoint; one that was done before is not repeated.

    Examples:
        tal train --method stpn --labels labels.csv

        tal train -m stpn -l labels.csv --name half --set train.steps=4000
    """
    from tal import config as configuration
    from tal import pipeline

    given = {"train.seed": seed, "runtime.device": device}
    settings = configuration.load(method, config, sets, given)
    with o.environment(cache, force, quiet) as env:
        run = pipeline.train(features, labels, settings, name=name, runs=runs, subset=subset, **env)
    how = "was trained before" if run.cached else "trained"
    print(f"{settings.method['name']} {how} on {run.n_videos} videos, {len(run.classes)} classes", file=sys.stderr)
    print(run.path)


def localize(
    videos: Videos,
    model: Annotated[Path, typer.Option("--model", help="A run folder or its model.safetensors.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file; default: stdout.")] = None,
    features: Annotated[Path | None, typer.Option("--features", "-f", help="Look for shards here first.")] = None,
    weights: o.Weights = None,
    device: o.Device = None,
    workers: o.Workers = None,
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    force: o.Force = False,
    quiet: o.Quiet = False,
) -> None:
    """Find when the model's actions happen in videos; writes ActivityNet-style JSON.

    Examples:
        tal localize my_video.mp4 --model runs/stpn > detections.json

        tal localize videos/ --model runs/stpn -o detections.json --set localize.nms=0.4
    """
    from tal import pipeline

    given = {"extract.weights": weights, "runtime.device": device, "runtime.workers": workers}
    settings = pipeline.model_settings(model, config, sets, given)
    with o.environment(cache, force, quiet) as env:
        try:
            results = pipeline.localize(videos, model, settings, features=features, **env)
        except pipeline.LocalizeBatchError as error:
            _give(error.results, output)
            raise
    _give(results, output)


def _give(results: Results, output: Path | None) -> None:
    from tal.pipeline.localizing import write_detections
    from tal.results import dumps

    if output is None:
        print(dumps(results), end="")
    else:
        write_detections(output, results)
        n = sum(len(found) for found in results.by_video.values())
        print(f"{n} detections in {len(results.by_video)} videos: {output}", file=sys.stderr)


def evaluate(
    detections: Annotated[Path, typer.Argument(help="ActivityNet-style JSON or THUMOS14 text lines.")],
    truth: Annotated[Path, typer.Argument(help="ActivityNet-style JSON or a THUMOS14 folder.")],
    protocol: Annotated[str | None, typer.Option(help="activitynet (default) or thumos14.")] = None,
    tiou: Annotated[str | None, typer.Option(help="FIRST:LAST:STEP or one threshold; default 0.1:0.7:0.1.")] = None,
    subset: Subset = None,
    config: o.Config = [],
    sets: o.Sets = [],
    as_json: o.Json = False,
) -> None:
    """Compare detections with ground truth: mAP over tIoU thresholds and AP per class.

    Examples:
        tal evaluate detections.json annotations.json

        tal evaluate detections.json annotations.json --protocol thumos14 --tiou 0.5 --subset test
    """
    from cli import render
    from tal import config as configuration
    from tal import pipeline

    given = {"evaluate.protocol": protocol, "evaluate.tiou": tiou, "evaluate.subset": subset}
    settings = configuration.load(files=config, sets=sets, options=given)
    evaluation = pipeline.evaluate(detections, truth, settings)
    if as_json:
        print(json.dumps(evaluation.to_dict(), indent=1))
    else:
        render.evaluation(evaluation)


def run(
    videos: Videos,
    labels: LabelsFile,
    annotations: Annotated[Path | None, typer.Option("--annotations", "-a", help="Ground truth.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for features/ and runs/.")] = Path(),
    method: o.MethodName = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; default: the method's.")] = None,
    weights: o.Weights = None,
    decoder: o.Decoder = None,
    flow: o.Flow = None,
    subset: Subset = None,
    device: o.Device = None,
    workers: o.Workers = None,
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    force: o.Force = False,
    quiet: o.Quiet = False,
) -> None:
    """Chain the stages: extract, train, localize and, with --annotations, evaluate.

    Every stage is kept on disk; what is there and fits is not made again.

    Examples:
        tal run videos/ --labels labels.csv --method stpn

        tal run videos/ -l labels.csv -a annotations.json -o work --set localize.nms=0.4
    """
    from cli import render
    from tal import config as configuration
    from tal import pipeline

    given = {
        "extract.weights": weights,
        "extract.decoder": decoder,
        "extract.flow.backend": flow,
        "evaluate.subset": subset,
        "runtime.device": device,
        "runtime.workers": workers,
    }
    settings = configuration.load(method, config, sets, given)
    with o.environment(cache, force, quiet) as env:
        report = pipeline.run(videos, labels, settings, annotations=annotations, out=out, name=name, **env)
    render.chain(report)
    _raise_failures(report.extraction)


def _raise_failures(report: ExtractReport) -> None:
    """End with exit status 1 if some videos failed; the others are done."""
    from tal.errors import BatchError

    n = len(report.failures)
    if n:
        raise BatchError(f"{n} of {n + len(report.shards)} videos failed", dict(report.failures))
