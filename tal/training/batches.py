"""Which samples an update sees, and their features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tal import sampling
from tal.errors import InputError
from tal.sampling import Indices
from tal.training.runs import Run, seed_torch, streams_of

if TYPE_CHECKING:
    from tal.methods._base import Batch, LabelledVideo, Method, Sample


def prepared(run: Run, name: str, network: Method) -> Sequence[Sample]:
    """Let a network look at the training set; return what an epoch consists of.

    Raises:
        InputError: If that is nothing.
        ModelError: If the guide cannot help.
    """
    from tal.methods._base import Sample

    samples = network.prepare(_videos(run, name, network))
    if samples is None:
        return [Sample(index, labels) for index, labels in enumerate(run.data.labels)]
    if not samples:
        raise InputError(
            f"{run.method['name']} found nothing to learn from in the {name} features; see docs/methods.md"
        )
    return samples


def _videos(run: Run, name: str, network: Method) -> Iterator[LabelledVideo]:
    from tal.methods._base import LabelledVideo

    data = run.data
    for index, video in enumerate(data.videos):
        features = data.concatenated(index, streams_of(name))
        guided = run.guide.activations(video, name, features) if run.guide else None
        grid = data.headers[index].grid
        per_s = float(grid.fps / grid.stride)
        yield LabelledVideo(network.scaled_array(features), data.labels[index], data.motion(index), per_s, guided)


def draw(run: Run, name: str, network: Method, samples: Sequence[Sample], step: int, part: int) -> Batch:
    """Return one of the batches of an update, on the run's device, and seed PyTorch for it.

    Args:
        run: Data and settings.
        name: The network.
        network: Its features are scaled as it wants them.
        samples: What an epoch consists of.
        step: The update, counted from 1.
        part: Which of its ``train.accumulate`` batches, counted from 0.
    """
    import torch

    from tal.methods._base import Batch

    train = run.settings.train
    number = (step - 1) * train.accumulate + part
    rng = run.rng(name, "step", number + 1)
    places = sampling.shuffled(
        len(samples), number * train.batch_size, train.batch_size, lambda epoch: run.rng(name, "order", epoch)
    )
    chosen = [samples[place] for place in places]
    snippets = [_snippets(run, sample, rng) for sample in chosen]
    seed_torch(rng)
    features = _features(run, name, chosen, snippets)
    aux = {
        "video": np.array([sample.video for sample in chosen], np.int64),
        "snippet": np.concatenate(snippets) if features.ndim == 2 else np.stack(snippets),
        "weight": np.array([sample.weight for sample in chosen], np.float32),
    }
    return Batch(
        network.scaled(torch.from_numpy(features).to(run.device)),
        torch.from_numpy(np.stack([sample.labels for sample in chosen])).to(run.device),
        {key: torch.from_numpy(values).to(run.device) for key, values in aux.items()},
        tuple(map(len, snippets)) if features.ndim == 2 else None,
        (step - 1) / train.steps,
    )


def _snippets(run: Run, sample: Sample, rng: np.random.Generator) -> Indices:
    """Return the snippets of a sample that a batch shows, as indices in their video."""
    train, n = run.settings.train, run.data.headers[sample.video].grid.n_snippets
    n = n if sample.snippets is None else len(sample.snippets)
    if train.sampling == "whole":
        within = np.arange(n, dtype=np.int64)
    elif train.sampling == "shot":
        within = sampling.per_shot(_shots(run, sample), n, train.n_snippets, rng)
    else:
        within = sampling.sample(train.sampling, n, train.n_snippets, rng)
    return within if sample.snippets is None else sample.snippets[within]


def _shots(run: Run, sample: Sample) -> Indices:
    stream = "rgb" if "rgb" in run.data.dims else next(iter(run.data.dims))
    features = run.data.features(sample.video, stream)
    return sampling.shots(features if sample.snippets is None else features[sample.snippets])


def _features(run: Run, name: str, chosen: Sequence[Sample], snippets: Sequence[Indices]) -> np.ndarray:
    """Return features (B, T, D), or (N, D) where whole videos are wanted."""
    streams, videos = streams_of(name), [sample.video for sample in chosen]
    if run.settings.train.sampling != "whole":
        return run.data.sample(streams, np.array(videos), np.stack(snippets))
    return run.data.packed(streams, videos, snippets)
