"""Training: one loop for all methods.

Randomness has no state: initialisation, order of videos and sampled snippets are functions of the seed, the network and
the number of the update, so that a run that was killed and goes on gives the same model as one that was not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tal import checkpoints, models
from tal.checkpoints import State
from tal.errors import ModelError
from tal.files import storage_errors, write_atomic
from tal.progress import Progress
from tal.settings import Settings
from tal.training import snapshots
from tal.training.batches import draw, prepared
from tal.training.runs import NETWORKS, Guide, Run, plan, seed_torch, streams_of
from tal.training.updates import adam, learning_rate, require_finite, update
from tal.trainset import TrainingSet, TrainingVideo

if TYPE_CHECKING:
    import torch

    from tal.methods._base import Batch, Method, Sample

__all__ = ["METRICS", "NETWORKS", "Guide", "TrainingSet", "TrainingVideo", "fit"]

METRICS = "metrics.jsonl"
LOG_EVERY = 20  # updates per line of metrics


def fit(data: TrainingSet, settings: Settings, work: Path, progress: Progress, guide: Guide | None = None) -> None:
    """Train the networks of a fusion one after the other and write ``model.safetensors`` and ``metrics.jsonl``.

    A ``checkpoint.pt`` in `work` that an interrupted run of the same data and settings left is gone on from. With
    ``train.last`` above 1, earlier states are kept as ``last/<update>.safetensors``.

    Args:
        data: Videos and labels.
        settings: The `method`, `train` and `runtime` sections count; all but `runtime` go into the model.
        work: Folder to write to.
        progress: One task per network.
        guide: The model that ``train.guide`` names.

    Raises:
        ConfigError: If the method or a hyper-parameter is not known, or does not go with the others.
        InputError: If a video lacks a stream.
        ShardError: If features cannot be used.
        ModelError: If a loss is not finite.
        BackendError: If the device is not there.
    """
    import torch

    run = plan(data, settings, work, progress, guide)
    with torch.random.fork_rng(devices=[run.device] if run.device.type == "cuda" else []):
        state = checkpoints.read(run.work, run.fingerprint, run.progress)
        write_atomic(run.work / METRICS, "".join(json.dumps(line) + "\n" for line in state.metrics))
        networks = {name: _build(run, name, state) for name in run.names}
        for number, name in enumerate(run.names):
            if number >= state.network:
                _train(run, name, networks, state)
    meta = _describe(run)
    models.save(work / models.FILE, networks, meta)
    snapshots.publish(work, networks, meta)
    checkpoints.remove(work)


def _build(run: Run, name: str, state: State) -> Method:
    """Return a network as it stands in the checkpoint, or a new one."""
    seed_torch(run.rng(name, "init", 0))
    network = models.build(run.method, run.data.dim(streams_of(name)), len(run.data.classes))
    if run.settings.train.standardise:
        network.standardise(*run.data.moments(streams_of(name)))
    if name in state.weights:
        network.load_state_dict(state.weights[name])
    return network.to(run.device)


def _train(run: Run, name: str, networks: Mapping[str, Method], state: State) -> None:
    """Bring one network to its last update; `state` follows, ready for the next network at the end."""
    train, network = run.settings.train, networks[name].train()
    seed_torch(run.rng(name, "init", 1))
    samples, optimizer = prepared(run, name, network), adam(network, train)
    if state.optimizer:
        optimizer.load_state_dict(state.optimizer)
    started = time.monotonic() - state.seconds
    with run.progress.task(f"train {name}", train.steps, "updates") as task:
        if state.step:
            task.advance(state.step, "from checkpoint")
        while state.step < train.steps:
            losses = _step(run, name, network, optimizer, samples, state)
            state.step, state.seconds = state.step + 1, time.monotonic() - started
            _log(run, name, state, losses)
            _keep_if_due(run, name, networks, optimizer, state)
            task.advance(1, f"loss {sum(losses.values()):.4f}")
    require_finite(name, [network], train.steps)
    state.network, state.step, state.seconds, state.optimizer = state.network + 1, 0, 0.0, {}
    _keep(run, networks, state)


def _step(
    run: Run, name: str, network: Method, optimizer: torch.optim.Optimizer, samples: Sequence[Sample], state: State
) -> dict[str, float]:
    train, step = run.settings.train, state.step + 1

    def batches() -> Iterator[Batch]:
        return (draw(run, name, network, samples, step, part) for part in range(train.accumulate))

    try:
        return update(network, optimizer, batches(), learning_rate(train, step), f"{name}, update {step}")
    except ModelError as error:
        kept = state.step - state.step % run.settings.runtime.checkpoint_every
        raise ModelError(f"{error}; the checkpoint of update {kept} is kept" if kept else str(error)) from error


def _keep_if_due(
    run: Run, name: str, networks: Mapping[str, Method], optimizer: torch.optim.Optimizer, state: State
) -> None:
    """Write a snapshot, a checkpoint, or neither."""
    train, network = run.settings.train, networks[name]
    if state.step in snapshots.due(train):
        require_finite(name, [network], state.step)
        snapshots.write(run.work, name, state.step, network)
    if state.step % run.settings.runtime.checkpoint_every == 0 and state.step < train.steps:
        require_finite(name, [network], state.step)
        state.optimizer = optimizer.state_dict()
        _keep(run, networks, state)


def _log(run: Run, name: str, state: State, losses: dict[str, float]) -> None:
    """Add a line with the mean losses since the last one, if it is time."""
    state.pending.append(losses)
    if state.step % LOG_EVERY and state.step != run.settings.train.steps:
        return
    means = {key: sum(row[key] for row in state.pending) / len(state.pending) for key in losses}
    line = {"network": name, "step": state.step, "losses": means, "seconds": round(state.seconds, 3)}
    state.metrics.append(line)
    state.pending.clear()
    with storage_errors(run.work / METRICS), (run.work / METRICS).open("a") as file:
        file.write(json.dumps(line) + "\n")


def _keep(run: Run, networks: Mapping[str, Method], state: State) -> None:
    state.weights = {name: network.state_dict() for name, network in networks.items()}
    checkpoints.write(run.work, state, run.fingerprint)


def _describe(run: Run) -> models.ModelMeta:
    """Return what the model file says about itself; the features' part is taken from the first shard."""
    first = run.data.headers[0]
    provenance = {key: value for key, value in first.provenance.items() if key != "video"}
    grid = {key: first.grid.to_dict()[key] for key in ("fps", "length", "stride")}
    return models.ModelMeta(
        method=run.method,
        classes=run.data.classes,
        networks={name: run.data.dim(streams_of(name)) for name in run.names},
        streams={stream: run.data.dims[stream] for stream in streams_of("+".join(run.names))},
        features={**provenance, "grid": grid},
        settings={**run.settings.model_dump(mode="json", exclude={"runtime"}), "method": run.method},
    )
