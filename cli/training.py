"""The command that trains: one run, several seeds, a grid of settings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import clusters
from cli import options as o
from cli.stages import LabelsFile
from cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tal.advice import Advice
    from tal.annotations import Labels
    from tal.pipeline.learning import Run
    from tal.pipeline.sweeps import SweepReport


def train(
    labels: LabelsFile,
    features: Annotated[Path, typer.Option("--features", "-f", help="Folder of feature shards.")] = Path("features"),
    method: o.MethodName = None,
    dataset: o.Dataset = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; default: the method's.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    subset: Annotated[str, typer.Option(help="Subset of the labels file to train on.")] = "",
    seed: Annotated[int | None, typer.Option(help="Seed; default 0.")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="0-4", help="A run NAME-seedN for each: 0-4, or 0,3,7.")] = None,
    sweep: Annotated[
        list[str],
        typer.Option(metavar="KEY=V1,V2,...", help="A run for each value; repeated: for each combination."),
    ] = [],
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write the losses for TensorBoard, to DIR/NAME.")
    ] = None,
    engine: clusters.EngineOption = "local",
    address: clusters.AddressOption = None,
    worker_cpus: clusters.WorkerCpusOption = None,
    worker_gpus: clusters.WorkerGpusOption = None,
    device: o.Device = None,
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    force: o.Force = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Train a method on features and video-level labels.

    Says first what will hurt: too few videos of a class, nothing to tell it apart, no background. Writes
    runs/NAME/model.safetensors, config.yaml, metrics.jsonl, environment.json and advice.json; prints the folder. A
    training that was interrupted goes on from its last checkpoint; one that was done before is not repeated. Of several
    runs, one that fails stops no other.

    Examples:
        tal train --method stpn --labels labels.csv

        tal train -m stpn -l labels.csv --name half --set train.steps=4000

        tal train -m cmcs --dataset activitynet13 -l labels.csv

        tal train -m cmcs -l labels.csv --seeds 0-4

        tal train -m cmcs -l labels.csv --sweep train.lr=1e-3,1e-4 --sweep method.branches=2,4 --seeds 0,1

        tal train -m cmcs -l labels.csv --seeds 0-19 --engine ray --address auto
    """
    from tal import config as configuration
    from tal.annotations import read_labels
    from tal.pipeline import sweeps
    from tal.pipeline.advising import write_advice

    train_all = clusters.trainer(clusters.chosen(engine, address, worker_cpus, worker_gpus))
    given = {"train.seed": seed, "runtime.device": device}
    numbers = _seeds(seeds, seed)
    axes = [sweeps.parse_axis(text) for text in sweep]
    variants = sweeps.plan(
        lambda more: configuration.load(method, config, [*sets, *more], given, dataset=dataset), name, axes, numbers
    )
    after, known = _board(tensorboard), read_labels(labels, subset)
    advice = _advise(known, features)
    with o.environment(cache, force, quiet, verbose) as env:
        report = train_all(variants, features, known, runs=runs, after=after, **env)
    for run in report.runs.values():
        write_advice(run.path, advice)
    _show(report)


def _advise(labels: Labels, features: Path) -> tuple[Advice, ...]:
    """Say what will hurt the training, before it."""
    from tal.pipeline.advising import advise_training

    found = advise_training(labels, features)
    for one in found:
        print(printable(f"note: {one}"), file=sys.stderr)
    return found


def _seeds(text: str | None, seed: int | None) -> Sequence[int]:
    from tal.errors import ConfigError
    from tal.pipeline.sweeps import parse_seeds

    if text is not None and seed is not None:
        raise ConfigError("--seed and --seeds; give one of them")
    return () if text is None else parse_seeds(text)


def _board(folder: Path | None) -> Callable[[Run], object] | None:
    """Return what writes a finished run for TensorBoard; a missing TensorBoard is told before anything is trained."""
    from tal.pipeline import tensorboard

    if folder is None:
        return None
    tensorboard.writer_class()
    return lambda run: tensorboard.write_scalars(run, folder)


def _show(report: SweepReport) -> None:
    """Print the folders; end with exit status 1 if some runs failed."""
    from tal.errors import BatchError

    many = len(report.runs) + len(report.failures) > 1
    for name, run in report.runs.items():
        how = "was trained before" if run.cached else "trained"
        who = f"{run.method}, {name}," if many else run.method
        print(printable(f"{who} {how} on {run.n_videos} videos, {len(run.classes)} classes"), file=sys.stderr)
        print(run.path)
    if n := len(report.failures):
        raise BatchError(f"{n} of {len(report.runs) + n} runs failed", dict(report.failures))
