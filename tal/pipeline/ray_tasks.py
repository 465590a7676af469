"""Trainings and evaluations on a Ray cluster: one task each, a bounded number of them submitted at once."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tal
from tal.annotations import Labels, Truth, read_labels, read_truth
from tal.cache import Cache, default_root
from tal.errors import BackendError, StorageError, TalError
from tal.evaluation import Evaluation
from tal.pipeline.context import context
from tal.pipeline.evaluating import evaluate
from tal.pipeline.learning import Run, resolve_method, train
from tal.pipeline.ray_cluster import RayOptions, connected, shared_path
from tal.pipeline.sweeps import SweepReport, Variant, sweep_report
from tal.progress import Progress, Silent
from tal.settings import Settings

MAX_RETRIES = 3
"""How often a task is begun again whose process or node died."""
AHEAD = 2
"""Tasks submitted for each that can run: one waits while one works."""


def train_all_on_ray(
    variants: Sequence[Variant],
    features: Path | str,
    labels: Path | str | Labels,
    *,
    runs: Path | str = "runs",
    cache: Cache | None = None,
    progress: Progress | None = None,
    after: Callable[[Run], object] | None = None,
    options: RayOptions | None = None,
) -> SweepReport:
    """Train runs as `train_all` does, on a Ray cluster, several at once; one that fails stops no other.

    All nodes must see the features and the folder of runs under the same paths. A training that loses its node begins
    again elsewhere, from its last checkpoint where the cache is shared, too.

    Args:
        variants: What `plan` returned.
        features: Folder of shards.
        labels: Read once for all runs.
        runs: Folder of runs.
        cache: A run that is there is not trained again.
        progress: Who is told.
        after: Called here with each finished run.
        options: Which cluster; each training gets one core unless `cpus` says more.

    Raises:
        ConfigError: If a hyper-parameter of any run is not known; nothing has been trained then.
        TalError: If every run failed for the same reason.
    """
    ctx = context(variants[0].settings, cache, progress)
    ready = [(one.name, resolve_method(one.settings, ctx.cache)) for one in variants]
    known = read_labels(Path(labels)) if isinstance(labels, str | Path) else labels
    where = (shared_path(features), known, shared_path(runs), str(ctx.cache.root), ctx.cache.force, platform.node())
    jobs = [(tal.__version__, name, settings.model_dump(mode="json"), *where) for name, settings in ready]
    device, finished, errors = ctx.settings.runtime.device, dict[str, Run](), dict[str, TalError]()
    with ctx.progress.task("train", len(jobs), "runs") as bar:
        for i, found in _spread(_train, jobs, options or RayOptions(), device):
            name, run = ready[i][0], _seen(found)
            if isinstance(run, TalError):
                errors[name] = run
                ctx.progress.say(f"failed: {name}: {run}")
            else:
                finished[name] = run
                if after:
                    after(run)
            bar.advance(1, name)
    names = [name for name, _ in ready]
    in_order = {name: finished[name] for name in names if name in finished}
    return sweep_report(in_order, {name: errors[name] for name in names if name in errors})


def evaluate_all(
    detections: Sequence[Path],
    truth: Path | str,
    settings: Settings,
    *,
    progress: Progress | None = None,
    options: RayOptions | None = None,
) -> dict[Path, Evaluation | TalError]:
    """Compare several files of detections with one ground truth, which is read once.

    Args:
        detections: Files, as `evaluate` reads them.
        truth: Ground truth.
        settings: Its section ``evaluate`` counts.
        progress: Who is told.
        options: Which cluster; None: here, one after the other.

    Returns:
        Each file's evaluation, or why there is none.

    Raises:
        AnnotationError: If the ground truth is not what it should be.
    """
    known, heard = read_truth(Path(truth)), progress or Silent()
    files = [shared_path(path) if options else str(path) for path in detections]
    jobs = [(tal.__version__, file, known, settings.model_dump(mode="json")) for file in files]
    found: dict[int, Evaluation | TalError] = {}
    with heard.task("evaluate", len(jobs), "files") as bar:
        done = _spread(_evaluate, jobs, options, "cpu") if options else enumerate(_evaluate(*job) for job in jobs)
        for i, one in done:
            found[i] = one
            bar.advance(1, detections[i].name)
    return {path: found[i] for i, path in enumerate(detections)}


def _train(version: str, name: str, settings: Mapping[str, Any], *where: Any) -> Run | TalError:
    features, labels, runs, root, force, host = where
    try:
        _check_version(version)
        cache = Cache(Path(root) if platform.node() == host else default_root(), force)
        return train(features, labels, _own_settings(settings), name=name, runs=runs, cache=cache)
    except TalError as error:
        return TalError(str(error))


def _evaluate(version: str, path: str, truth: Truth, settings: Mapping[str, Any]) -> Evaluation | TalError:
    try:
        _check_version(version)
        return evaluate(path, truth, Settings.model_validate(settings))
    except TalError as error:
        return TalError(str(error))


def _own_settings(settings: Mapping[str, Any]) -> Settings:
    """Return the settings of a task: Ray says whether it has a GPU, and which."""
    import ray

    found = Settings.model_validate(settings)
    device = "cuda" if ray.get_runtime_context().get_accelerator_ids().get("GPU") else "cpu"
    return found.model_copy(update={"runtime": found.runtime.model_copy(update={"device": device})})


def _check_version(version: str) -> None:
    if version != tal.__version__:
        raise BackendError(f"{platform.node()}: tal {tal.__version__} there, {version} here; install the same version")


def _seen(found: Run | TalError) -> Run | TalError:
    """Refuse a run that was written where nobody else sees it."""
    if isinstance(found, Run) and not found.model.is_file():
        return StorageError(f"{found.path}: not seen here; name a folder of runs that all nodes share")
    return found


def _spread(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], options: RayOptions, device: str
) -> Iterator[tuple[int, Any]]:
    """Yield each job's number and result as it ends; why there is none as a `TalError`."""
    with connected(options) as ray:
        has_gpus = device != "cpu" and ray.cluster_resources().get("GPU", 0) > 0
        needs = {"num_cpus": options.cpus or 1, "num_gpus": options.gpus if has_gpus else 0}
        task = ray.remote(function).options(max_retries=MAX_RETRIES, **needs)
        window = AHEAD * max(1, math.floor(ray.cluster_resources().get("CPU", 1) / needs["num_cpus"]))
        waiting, running = iter(enumerate(jobs)), dict[Any, int]()
        try:
            while True:
                for i, job in waiting:
                    running[task.remote(*job)] = i
                    if len(running) >= window:
                        break
                if not running:
                    return
                ended, _ = ray.wait(list(running), num_returns=1)
                for one in ended:
                    yield running.pop(one), _result(ray, one)
        finally:
            for one in running:
                ray.cancel(one, force=True)


def _result(ray: Any, one: Any) -> Any:
    try:
        return ray.get(one)
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        how = "ran out of memory" if isinstance(error, ray.exceptions.OutOfMemoryError) else "died"
        return BackendError(f"its process {how}, {MAX_RETRIES + 1} times; look at Ray's logs on that node")
