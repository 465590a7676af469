"""The stages as commands: parse, call one pipeline function, render."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import clusters
from cli import options as o

if TYPE_CHECKING:
    from tal.pipeline import ExtractReport
    from tal.pipeline.planning import Plan
    from tal.settings import Settings

Videos = Annotated[list[Path], typer.Argument(help="Video files, or folders that are searched for them.")]
LabelsFile = Annotated[Path, typer.Option("--labels", "-l", help="CSV (video,label), JSON or THUMOS14 folder.")]
Subset = Annotated[str | None, typer.Option(help="Subset of the ground truth to evaluate.")]


def extract(
    videos: Videos,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder or URL of feature shards.")] = Path("features"),
    preset: o.Preset = None,
    backbone: o.Backbone = None,
    weights: o.Weights = None,
    decoder: o.Decoder = None,
    flow: o.Flow = None,
    flow_images: Annotated[
        str | None, typer.Option(metavar="DIR", help="Read flow from DIR/<video>/flow_x_00000.jpg, ... (denseflow).")
    ] = None,
    save_flow: Annotated[
        str | None, typer.Option(metavar="DIR", help="Also write the flow as such images: about 1 to 4 GB an hour.")
    ] = None,
    fps: Annotated[str | None, typer.Option(help="Rate that frames are resampled to; default 25.")] = None,
    precision: o.Precision = None,
    device: o.Device = None,
    workers: o.Workers = None,
    part: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="Only part I of N, from 0, for job arrays: 0/4 to 3/4.")
    ] = None,
    only: Annotated[
        list[str],
        typer.Option(metavar="GLOB|@FILE", help="Only videos whose name, file or path fits; may be repeated."),
    ] = [],
    skip: Annotated[
        list[str], typer.Option(metavar="GLOB|@FILE", help="Leave these videos alone; may be repeated.")
    ] = [],
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try videos again, too, whose process died: others always are.")
    ] = False,
    isolate: Annotated[
        str | None,
        typer.Option(help="What gets a process of its own, to outlive crashes: all, suspects, none; default: all."),
    ] = None,
    engine: clusters.EngineOption = "local",
    address: clusters.AddressOption = None,
    worker_cpus: clusters.WorkerCpusOption = None,
    worker_gpus: clusters.WorkerGpusOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done to each video; write nothing.")
    ] = False,
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Extract two-stream I3D features, one shard per video.

    Shards that are there and were made with the same settings are kept. Several processes may fill one folder; --shard
    gives each its part by the videos' names, so that adding videos moves no others. A video that crashes its process
    is left out and named; the others go on. 'tal status' shows how far a folder is.

    Examples:
        tal extract videos/

        tal extract videos/ --dry-run

        tal extract videos/ --preset cmcs

        tal extract videos/ --backbone slow_r50 --set extract.streams=[rgb]

        tal extract videos/ --save-flow flow

        tal extract videos/ --shard $SLURM_ARRAY_TASK_ID/8

        tal extract videos/ -o features --engine ray --address auto

        tal extract videos/ --only 'cooking_*' --skip @broken.txt --retry-failed

        tal extract videos/ -o features --weights random:0 --set extract.short_side=64 --set extract.crop=0
    """
    from cli import render
    from tal import config as configuration
    from tal.pipeline.parts import ONLY, SKIP, WHOLE, Part, read_patterns
    from tal.pipeline.planning import Plan, plan_extraction
    from tal.storage.urls import url_of

    given = {
        "extract.weights": weights,
        "extract.decoder": decoder,
        "extract.flow.backend": flow,
        "extract.flow_images": flow_images,
        "extract.fps": fps,
        "extract.backbone": backbone,
        "extract.precision": precision,
        "runtime.device": device,
        "runtime.workers": workers,
        "runtime.isolate": isolate,
        "runtime.save_flow": save_flow,
    }
    settings = _isolated(configuration.load(files=config, sets=sets, options=given, preset=preset))
    call = (
        plan_extraction if dry_run else clusters.extractor(clusters.chosen(engine, address, worker_cpus, worker_gpus))
    )
    chosen: dict[str, Any] = {"only": read_patterns(ONLY, only), "skip": read_patterns(SKIP, skip)}
    chosen |= {"part": Part.parse(part) if part else WHOLE, "retry_failed": retry_failed}
    with o.environment(cache, force, quiet, verbose) as env:
        found = call(videos, out, settings, **chosen, **env)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    if isinstance(found, Plan):
        _show_plan(found, as_json)
    else:
        render.extraction(found, url_of(out) or out)
        _raise_failures(found)


def _isolated(settings: Settings) -> Settings:
    """Let a command extract in a process of its own, unless something else was asked for."""
    if settings.runtime.isolate != "auto":
        return settings
    return settings.model_copy(update={"runtime": settings.runtime.model_copy(update={"isolate": "all"})})


def _show_plan(found: Plan, as_json: bool) -> None:
    """Draw what would be done; end with exit status 1 if a video cannot be used."""
    from cli import render
    from tal.errors import BatchError

    if not as_json:
        render.plan(found)
    if n := len(found.of("unusable")):
        raise BatchError(f"{n} of {len(found.videos)} videos cannot be used", {})


def run(
    videos: Videos,
    labels: LabelsFile,
    annotations: Annotated[Path | None, typer.Option("--annotations", "-a", help="Ground truth.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder or URL for features/ and runs/.")] = Path(),
    method: o.MethodName = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; default: the method's.")] = None,
    preset: o.Preset = None,
    backbone: o.Backbone = None,
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
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
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
        "extract.backbone": backbone,
        "extract.weights": weights,
        "extract.decoder": decoder,
        "extract.flow.backend": flow,
        "evaluate.subset": subset,
        "runtime.device": device,
        "runtime.workers": workers,
    }
    settings = _isolated(configuration.load(method, config, sets, given, preset=preset))
    with o.environment(cache, force, quiet, verbose) as env:
        report = pipeline.run(videos, labels, settings, annotations=annotations, out=out, name=name, **env)
    (render.chain_json if as_json else render.chain)(report)
    _raise_failures(report.extraction)


def _raise_failures(report: ExtractReport) -> None:
    """End with exit status 1 if some videos failed; the others are done."""
    from tal.errors import BatchError

    n = len(report.failures)
    if n:
        raise BatchError(f"{n} of {n + len(report.shards)} videos failed", dict(report.failures))
