"""Options of commands that can run on a Ray cluster, and what they become."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import completing
from cli.text import printable

if TYPE_CHECKING:
    from tal.errors import TalError
    from tal.evaluation import Evaluation
    from tal.pipeline import ExtractReport, SweepReport
    from tal.pipeline.ray_cluster import RayOptions
    from tal.settings import Settings

ENGINES = ("local", "ray")

EngineOption = Annotated[
    str,
    typer.Option("--engine", help="local, or ray: on a Ray cluster.", autocompletion=completing.words(ENGINES)),
]
AddressOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Ray cluster to join, or auto; default: one on this machine alone."),
]
WorkerCpusOption = Annotated[
    int | None, typer.Option("--worker-cpus", help="Cores of each Ray worker; default: as the nodes have them.")
]
WorkerGpusOption = Annotated[
    float | None, typer.Option("--worker-gpus", help="GPUs of each Ray worker, where there are some; default 1.")
]


def chosen(
    engine: str, address: str | None = None, cpus: int | None = None, gpus: float | None = None
) -> RayOptions | None:
    """Return how Ray is used, or None for the local engine.

    Raises:
        ConfigError: If there is no such engine, or options of Ray are given without it.
    """
    from tal.errors import ConfigError, suggest

    if engine not in ENGINES:
        raise ConfigError(f"unknown engine '{engine}'{suggest(engine, ENGINES)}")
    given = {"--address": address, "--worker-cpus": cpus, "--worker-gpus": gpus}
    if engine == "local":
        if named := [name for name, value in given.items() if value is not None]:
            raise ConfigError(f"{named[0]} is for Ray; add --engine ray")
        return None
    from tal.pipeline.ray_cluster import RayOptions

    return RayOptions(address or "", cpus or 0, 1.0 if gpus is None else gpus)


def extractor(ray: RayOptions | None) -> Callable[..., ExtractReport]:
    """Return what extracts, called as `tal.pipeline.extract`."""
    from tal.pipeline import extract
    from tal.pipeline.parts import Part, Selection
    from tal.pipeline.ray_extraction import extract_on_ray

    if ray is None:
        return extract

    def on_ray(*given: Any, part: Part, only: Sequence[str], skip: Sequence[str], **more: Any) -> ExtractReport:
        chosen = Selection(part, tuple(only), tuple(skip))
        return extract_on_ray(*given, options=ray, selection=chosen, **more)

    return on_ray


def trainer(ray: RayOptions | None) -> Callable[..., SweepReport]:
    """Return what trains several runs, called as `tal.pipeline.train_all`."""
    from tal.pipeline import train_all
    from tal.pipeline.ray_tasks import train_all_on_ray

    return train_all if ray is None else partial(train_all_on_ray, options=ray)


def evaluate_many(
    detections: Sequence[Path],
    truth: Path,
    settings: Settings,
    ray: RayOptions | None,
    *,
    as_json: bool,
    one: bool,
    quiet: bool,
) -> None:
    """Evaluate several files and print one line for each.

    Raises:
        ConfigError: If a form was asked for that shows one file.
        BatchError: If some files cannot be used.
    """
    from cli.progress import display
    from tal.errors import BatchError, ConfigError, TalError
    from tal.pipeline.ray_tasks import evaluate_all

    if one:
        raise ConfigError("--csv and --latex show one file; name one, or use --json")
    with display(quiet) as progress:
        found = evaluate_all(detections, truth, settings, progress=progress, options=ray)
    _show(found, as_json)
    failures = {str(path): str(error) for path, error in found.items() if isinstance(error, TalError)}
    if failures:
        raise BatchError(f"{len(failures)} of {len(found)} files failed", failures)


def _show(found: Mapping[Path, Evaluation | TalError], as_json: bool) -> None:
    from cli import render
    from tal.errors import TalError
    from tal.evaluation.tables import columns, rows

    good = {path: one for path, one in found.items() if not isinstance(one, TalError)}
    if as_json:
        bad = {path: {"error": str(one)} for path, one in found.items() if isinstance(one, TalError)}
        said = {**{path: one.to_dict() for path, one in good.items()}, **bad}
        print(json.dumps([{"detections": str(path), **said[path]} for path in found], indent=1))
    elif good:
        first = next(iter(good.values()))
        cells = [(printable(path), *(f"{100 * v:.2f}" for v in next(iter(rows(one)))[1])) for path, one in good.items()]
        render.table(f"{first.name}: mAP", (f"{first.protocol} %", *columns(first)), cells)
