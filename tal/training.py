"""Training: one loop for all methods.

Randomness has no state: initialisation, order of videos and sampled snippets are functions of the seed, the network and
the number of the update, so that a run that was killed and goes on gives the same model as one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tal import checkpoints, methods, models, sampling
from tal.checkpoints import State
from tal.devices import pick_device
from tal.errors import ModelError
from tal.files import digest_of, storage_errors, write_atomic
from tal.progress import Progress
from tal.settings import Settings
from tal.trainset import TrainingSet, TrainingVideo

if TYPE_CHECKING:
    import torch

    from tal.methods._base import Batch, LabelledVideo, Method

__all__ = ["METRICS", "TrainingSet", "TrainingVideo", "fit"]

METRICS = "metrics.jsonl"
LOG_EVERY = 20  # updates per line of metrics
NETWORKS = {"late": ("rgb", "flow"), "early": ("rgb+flow",), "rgb": ("rgb",), "flow": ("flow",)}
_NUMBER = {"rgb": 0, "flow": 1, "rgb+flow": 2}  # a network's own, so that 'flow' alone is the 'flow' of 'late'
_PURPOSE = {"init": 0, "order": 1, "step": 2}


@dataclass(frozen=True)
class _Run:
    """What stays the same during a run."""

    data: TrainingSet
    settings: Settings
    method: Mapping[str, Any]
    names: tuple[str, ...]
    work: Path
    device: torch.device
    fingerprint: str
    progress: Progress

    def rng(self, name: str, purpose: Literal["init", "order", "step"], number: int) -> np.random.Generator:
        """Return the generator for one purpose: always the same for the same arguments."""
        return np.random.default_rng([_PURPOSE[purpose], _NUMBER[name], number, self.settings.train.seed])


def fit(data: TrainingSet, settings: Settings, work: Path, progress: Progress) -> None:
    """Train the networks of a fusion one after the other and write ``model.safetensors`` and ``metrics.jsonl``.

    A ``checkpoint.pt`` in `work` that an interrupted run of the same data and settings left is gone on from.

    Args:
        data: Videos and labels.
        settings: The `method`, `train` and `runtime` sections count; all but `runtime` go into the model.
        work: Folder to write to.
        progress: One task per network.

    Raises:
        ConfigError: If the method or a hyper-parameter is not known.
        InputError: If a video lacks a stream.
        ShardError: If features cannot be used.
        ModelError: If a loss is not finite.
        BackendError: If the device is not there.
    """
    import torch

    run = _plan(data, settings, work, progress)
    with torch.random.fork_rng(devices=[run.device] if run.device.type == "cuda" else []):
        networks = {name: _build(run, name) for name in run.names}
        state = _resume(run, networks)
        for number, name in enumerate(run.names):
            if number >= state.network:
                _train(run, name, networks, state)
    models.save(work / models.FILE, networks, _describe(run))
    checkpoints.remove(work)


def _plan(data: TrainingSet, settings: Settings, work: Path, progress: Progress) -> _Run:
    method = {"name": settings.method["name"], **methods.resolve(settings.method).model_dump(mode="json")}
    device = pick_device(settings.runtime.device)
    names = NETWORKS[settings.train.fusion]
    data.check(_streams("+".join(names)), progress)
    content = {
        "method": method,
        "train": settings.train.model_dump(mode="json"),
        "classes": data.classes,
        "videos": [[v.name, v.labels, h.digest] for v, h in zip(data.videos, data.headers, strict=True)],
    }
    return _Run(data, settings, method, names, work, device, digest_of(content), progress)


def _build(run: _Run, name: str) -> Method:
    _seed(run.rng(name, "init", 0))
    network = models.build(run.method, run.data.dim(_streams(name)), len(run.data.classes))
    if run.settings.train.standardise:
        network.standardise(*run.data.moments(_streams(name)))
    network.prepare(_videos(run.data, name, network))
    return network.to(run.device)


def _streams(name: str) -> list[str]:
    """Return the streams that a network reads, in order."""
    return name.split("+")


def _seed(rng: np.random.Generator) -> None:
    import torch

    torch.manual_seed(int(rng.integers(1 << 63)))


def _videos(data: TrainingSet, name: str, network: Method) -> Iterator[LabelledVideo]:
    from tal.methods._base import LabelledVideo

    for index in range(len(data)):
        features = data.concatenated(index, _streams(name))
        yield LabelledVideo(network.scaled_array(features), data.labels[index], data.motion(index))


def _resume(run: _Run, networks: Mapping[str, Method]) -> State:
    """Bring networks and metrics to where the checkpoint stands."""
    state = checkpoints.read(run.work, run.fingerprint, run.progress)
    for name, weights in state.weights.items():
        networks[name].load_state_dict(weights)
    write_atomic(run.work / METRICS, "".join(json.dumps(line) + "\n" for line in state.metrics))
    return state


def _train(run: _Run, name: str, networks: Mapping[str, Method], state: State) -> None:
    """Bring one network to its last update; `state` follows, ready for the next network at the end."""
    n_steps = run.settings.train.steps
    network, optimizer = networks[name].train(), _optimizer(run, networks[name], state)
    started = time.monotonic() - state.seconds
    with run.progress.task(f"train {name}", n_steps, "updates") as task:
        if state.step:
            task.advance(state.step, "from checkpoint")
        while state.step < n_steps:
            batch = _draw(run, name, network, state.step + 1)
            losses = _update(network, optimizer, batch, f"{name}, update {state.step + 1}")
            state.step, state.seconds = state.step + 1, time.monotonic() - started
            _log(run, name, state, losses)
            if state.step % run.settings.runtime.checkpoint_every == 0 and state.step < n_steps:
                _require_finite(name, network, state.step)
                state.optimizer = optimizer.state_dict()
                _keep(run, networks, state)
            task.advance(1, f"loss {sum(losses.values()):.4f}")
    _require_finite(name, network, n_steps)
    state.network, state.step, state.seconds, state.optimizer = state.network + 1, 0, 0.0, {}
    _keep(run, networks, state)


def _optimizer(run: _Run, network: Method, state: State) -> torch.optim.Optimizer:
    import torch

    train = run.settings.train
    optimizer = torch.optim.Adam(network.parameters(), lr=train.lr, weight_decay=train.weight_decay, fused=True)
    if state.optimizer:
        optimizer.load_state_dict(state.optimizer)
    return optimizer


def _draw(run: _Run, name: str, network: Method, step: int) -> Batch:
    """Return the batch of one update, counted from 1."""
    import torch

    from tal.methods._base import Batch

    rng = run.rng(name, "step", step)
    train, data = run.settings.train, run.data
    start = (step - 1) * train.batch_size
    videos = sampling.shuffled(len(data), start, train.batch_size, lambda epoch: run.rng(name, "order", epoch))
    lengths = [data.headers[i].grid.n_snippets for i in videos]
    snippets = np.stack([sampling.sample(train.sampling, n, train.n_snippets, rng) for n in lengths])  # (B, T)
    _seed(rng)
    features = torch.from_numpy(data.sample(_streams(name), videos, snippets)).to(run.device)
    return Batch(
        network.scaled(features),
        torch.from_numpy(data.labels[videos]).to(run.device),
        {"video": torch.from_numpy(videos).to(run.device), "snippet": torch.from_numpy(snippets).to(run.device)},
    )


def _update(network: Method, optimizer: torch.optim.Optimizer, batch: Batch, where: str) -> dict[str, float]:
    """Take one optimizer step per yielded objective, none on a loss that is not finite; return all losses by name."""
    import torch

    found: dict[str, float] = {}
    for losses in network.objectives(batch):
        values = torch.stack(list(losses.values()))
        for name, value in zip(losses, values.tolist(), strict=True):
            if not math.isfinite(value):
                raise ModelError(f"{where}: loss '{name}' is {value}; lower train.lr, or look at the features")
            found[name] = value
        optimizer.zero_grad()
        values.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return found


def _log(run: _Run, name: str, state: State, losses: dict[str, float]) -> None:
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


def _keep(run: _Run, networks: Mapping[str, Method], state: State) -> None:
    state.weights = {name: network.state_dict() for name, network in networks.items()}
    checkpoints.write(run.work, state, run.fingerprint)


def _require_finite(name: str, network: Method, step: int) -> None:
    """Keep broken weights out of checkpoint and model."""
    if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
        raise ModelError(f"{name}, update {step}: weights are not finite any more; lower train.lr")


def _describe(run: _Run) -> models.ModelMeta:
    """Return what the model file says about itself; the features' part is taken from the first shard."""
    first = run.data.headers[0]
    provenance = {key: value for key, value in first.provenance.items() if key != "video"}
    grid = {key: first.grid.to_dict()[key] for key in ("fps", "length", "stride")}
    return models.ModelMeta(
        method=run.method,
        classes=run.data.classes,
        networks={name: run.data.dim(_streams(name)) for name in run.names},
        streams={stream: run.data.dims[stream] for stream in _streams("+".join(run.names))},
        features={**provenance, "grid": grid},
        settings={**run.settings.model_dump(mode="json", exclude={"runtime"}), "method": run.method},
    )
