"""Many trainings at once: several seeds, and a grid of settings.

Every run is one like any other, ``runs/NAME-KEY=VALUE-seedN``: cached, picked up after a kill, comparable. A run's name
depends on its own values alone, so that a sweep which is extended keeps the folders it has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

import yaml

from tal.annotations import Labels, read_labels
from tal.cache import Cache
from tal.errors import ConfigError, TalError
from tal.files import canonical_json, digest_of
from tal.pipeline.context import context
from tal.pipeline.learning import Run, resolve_method, train
from tal.progress import Progress
from tal.settings import Settings

T = TypeVar("T", bound=Hashable)
MAX_RUNS = 10_000
MAX_NAME = 160
"""Longest folder name in characters before ``-seedN``; file systems allow 255 bytes."""


@dataclass(frozen=True)
class Axis:
    """One setting of a grid.

    Attributes:
        key: Dotted name of the setting.
        values: What it becomes, as YAML texts.
    """

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """One run of a sweep: its name under ``runs/`` and all its settings."""

    name: str
    settings: Settings


@dataclass(frozen=True)
class SweepReport:
    """What became of a sweep, in its order.

    Attributes:
        runs: Name to the finished run.
        failures: Name to why it failed.
    """

    runs: Mapping[str, Run]
    failures: Mapping[str, str]


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read ``0-4``, both ends included, ``0,3,7``, or both forms mixed.

    Raises:
        ConfigError: If it is something else, a range runs backwards, or a seed stands twice.
    """
    seeds: list[int] = []
    for part in text.split(","):
        form = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        if form is None:
            raise ConfigError(f"--seeds '{text}': '{part.strip()}' is no seed; write 0-4 or 0,3,7")
        first, last = int(form[1]), int(form[2] or form[1])
        if last < first:
            raise ConfigError(f"--seeds '{text}': {first}-{last} runs backwards; write {last}-{first}")
        _check_number(len(seeds) + last - first + 1)
        seeds += range(first, last + 1)
    if (twice := _twice(seeds)) is not None:
        raise ConfigError(f"--seeds '{text}': {twice} stands twice; write each seed once")
    return tuple(seeds)


def parse_axis(text: str) -> Axis:
    """Read ``KEY=V1,V2,...``; values are YAML, so that ``[0.1,0.2],[0.3]`` are two.

    Raises:
        ConfigError: If it is not of this form, or a value stands twice.
    """
    key, equals, listed = text.partition("=")
    try:
        node = yaml.compose(f"[{listed}]", yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        node = None
    if not (equals and key.strip() and isinstance(node, yaml.SequenceNode) and node.value):
        raise ConfigError(f"--sweep '{text}': write KEY=V1,V2,..., e.g. --sweep train.lr=1e-3,1e-4")
    values = tuple(listed[n.start_mark.index - 1 : n.end_mark.index - 1].strip() for n in node.value)
    if (twice := _twice(values)) is not None:
        raise ConfigError(f"--sweep '{text}': {twice} stands twice; write each value once")
    return Axis(key.strip(), values)


def plan(
    load: Callable[[Sequence[str]], Settings],
    name: str | None = None,
    axes: Sequence[Axis] = (),
    seeds: Sequence[int] = (),
) -> tuple[Variant, ...]:
    """Return the runs of a grid, the last axis changing fastest and seeds faster than that.

    Args:
        load: Returns the settings with these ``key=value`` texts laid over all others.
        name: What the runs' names begin with; default: the method's.
        axes: Each with a key of its own.
        seeds: Empty for the one of the settings.

    Raises:
        ConfigError: If a setting is wrong, or two runs would be the same.
    """
    keys = [axis.key for axis in axes] + ["train.seed"] * bool(seeds)
    if (twice := _twice(keys)) is not None:
        raise ConfigError(f"--sweep: {twice} is set twice; name each key once, and seeds by --seeds or --sweep alone")
    n = max(1, len(seeds))
    for axis in axes:
        n *= len(axis.values)
    _check_number(n)
    found = [_variant(load, name, chosen) for chosen in _grid(axes, seeds)]
    _require_different(found)
    return tuple(found)


def _twice(values: Sequence[T]) -> T | None:
    """Return the most frequent value if it occurs more than once."""
    counts = Counter(values).most_common(1)
    return counts[0][0] if counts and counts[0][1] > 1 else None


def _check_number(n: int) -> None:
    if n > MAX_RUNS:
        raise ConfigError(f"{n} runs; at most {MAX_RUNS} at once")


Chosen = tuple[tuple[str, str], ...]


def _grid(axes: Sequence[Axis], seeds: Sequence[int]) -> Iterator[Chosen]:
    lines = [[(axis.key, value) for value in axis.values] for axis in axes]
    return product(*lines, *([[("train.seed", str(seed)) for seed in seeds]] if seeds else []))


def _variant(load: Callable[[Sequence[str]], Settings], name: str | None, chosen: Chosen) -> Variant:
    settings = load([f"{key}={value}" for key, value in chosen])
    parts = [name or str(settings.method["name"])]
    parts += [f"{key}={safe(value)}" for key, value in chosen if key != "train.seed"]
    seed = "".join(f"-seed{value}" for key, value in chosen if key == "train.seed")
    return Variant(_shortened("-".join(parts)) + seed, settings)


def safe(value: str) -> str:
    """Return a value as part of a file name; what had to change gets a digest, so that different values differ."""
    plain = re.sub(r"[^A-Za-z0-9.,+-]+", "_", value).strip("._")
    return plain if plain == value else f"{plain}~{digest_of(value)[:6]}"


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 9]}~{digest_of(name)[:8]}"


def _require_different(variants: Sequence[Variant]) -> None:
    """Refuse runs that are the same: a value in two spellings, or a key that an option sets for all."""
    by_settings: dict[str, str] = {}
    by_name: dict[str, str] = {}
    for one in variants:
        content = canonical_json(one.settings.model_dump(mode="json"))
        other = by_settings.setdefault(content, one.name)
        if other != one.name:
            raise ConfigError(f"--sweep: {other} and {one.name} have the same settings; does an option set that key?")
        if by_name.setdefault(one.name.casefold(), content) != content:
            raise ConfigError(f"--sweep: two runs would share the folder {one.name}; write the values differently")


def train_all(
    variants: Sequence[Variant],
    features: Path | str,
    labels: Path | str | Labels,
    *,
    runs: Path | str = "runs",
    subset: str = "",
    cache: Cache | None = None,
    progress: Progress | None = None,
    after: Callable[[Run], object] | None = None,
) -> SweepReport:
    """Train one run after the other; one that fails stops no other.

    Args:
        variants: What `plan` returned.
        features: See `tal.pipeline.train`, as all below.
        labels: Read once for all runs.
        runs: Folder of runs.
        subset: Subset of the labels file to train on.
        cache: A run that is there is not trained again; one that was killed goes on.
        progress: Who is told.
        after: Called with each finished run.

    Raises:
        ConfigError: If a hyper-parameter of any run is not known; nothing has been trained then.
        TalError: If every run failed for the same reason.
    """
    ctx = context(variants[0].settings, cache, progress)
    ready = [Variant(v.name, resolve_method(v.settings, ctx.cache)) for v in variants]
    known = read_labels(Path(labels), subset) if isinstance(labels, str | Path) else labels
    if len(ready) > 1:
        ctx.progress.say(f"{len(ready)} runs: {ready[0].name} ... {ready[-1].name}")
    finished: dict[str, Run] = {}
    errors: dict[str, TalError] = {}
    for number, one in enumerate(ready, start=1):
        if len(ready) > 1:
            ctx.progress.say(f"run {number} of {len(ready)}: {one.name}")
        try:
            run = train(features, known, one.settings, name=one.name, runs=runs, cache=ctx.cache, progress=ctx.progress)
            if after:
                after(run)
            finished[one.name] = run
        except TalError as error:
            errors[one.name] = error
            if len(ready) > 1:
                ctx.progress.say(f"failed: {one.name}: {error}")
    return sweep_report(finished, errors)


def sweep_report(finished: Mapping[str, Run], errors: Mapping[str, TalError]) -> SweepReport:
    """Return what became of a sweep.

    Raises:
        TalError: If every run failed for the same reason.
    """
    if not finished and len({str(error) for error in errors.values()}) == 1:
        raise next(iter(errors.values()))
    return SweepReport(finished, {name: str(error) for name, error in errors.items()})
