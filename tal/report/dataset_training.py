"""What a run folder tells of a training: losses over the updates, learning rate, settings, what it ran on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tal import config
from tal.parsing import Place, as_number, as_object, as_text, parse_json, read_text, required
from tal.report.dataset_numbers import significant
from tal.settings import TrainSettings

METRICS, CONFIG, ENVIRONMENT = "metrics.jsonl", "config.yaml", "environment.json"
MAX_POINTS = 400
"""Points of a curve; of a longer training, each is the mean of several lines."""

Line = Mapping[str, Any]


def training(run: Path) -> list[dict[str, Any]] | None:
    """Return the curves of each network, in the order of their training; None for a run without metrics.

    ``steps`` counts updates, ``losses`` has a curve per name, ``lr`` is None where the run has no settings.

    Raises:
        AnnotationError: If a line of the metrics is not what ``tal train`` writes.
        ConfigError: If the settings cannot be read.
    """
    if not (run / METRICS).is_file():
        return None
    chosen = _train_settings(run)
    networks: dict[str, list[Line]] = {}
    for line in _lines(run / METRICS):
        networks.setdefault(line["network"], []).append(line)
    return [_curves(name, lines, chosen) for name, lines in networks.items()] or None


def _lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file of metrics, checked."""
    for number, text in enumerate(read_text(path).splitlines(), start=1):
        place = Place(path, f"line {number}")
        try:
            line = as_object(json.loads(text), place)
        except (ValueError, RecursionError) as error:
            raise place.error("not JSON", "train again, or remove the file") from error
        losses = as_object(required(line, "losses", place), place.key("losses"))
        yield {
            "network": as_text(required(line, "network", place), place),
            "losses": {name: as_number(value, place.key(name)) for name, value in losses.items()},
            **{name: as_number(required(line, name, place), place.key(name)) for name in ("step", "seconds")},
        }


def _train_settings(run: Path) -> TrainSettings | None:
    tree = settings(run).get("train")
    return None if tree is None else config.check(TrainSettings, tree, str(run / CONFIG), "train")


def _curves(name: str, lines: Sequence[Line], chosen: TrainSettings | None) -> dict[str, Any]:
    size = -(-len(lines) // MAX_POINTS)
    blocks = [lines[i : i + size] for i in range(0, len(lines), size)]
    steps = [int(block[-1]["step"]) for block in blocks]
    losses = sorted({loss for line in lines for loss in line["losses"]})
    return {
        "network": name,
        "steps": steps,
        "losses": {loss: [_mean(block, loss) for block in blocks] for loss in losses},
        "lr": None if chosen is None else _rates(chosen, steps),
        "seconds": lines[-1]["seconds"],
    }


def _mean(block: Sequence[Line], loss: str) -> float | None:
    """Return the mean of a loss over some lines, None where none has it."""
    values = [line["losses"][loss] for line in block if loss in line["losses"]]
    return significant(sum(values) / len(values)) if values else None


def _rates(chosen: TrainSettings, steps: Sequence[int]) -> list[float]:
    from tal.training.updates import learning_rate

    return [significant(learning_rate(chosen, step)) for step in steps]


def settings(run: Path) -> dict[str, Any]:
    """Return the settings that a run folder holds; none if it has no such file.

    Raises:
        ConfigError: If it cannot be read.
    """
    return config.read_yaml(run / CONFIG) if (run / CONFIG).is_file() else {}


def environment(run: Path) -> dict[str, Any]:
    """Return what a run was trained on, as ``tal train`` recorded it; nothing if it did not.

    Raises:
        AnnotationError: If the file is not JSON.
    """
    path = run / ENVIRONMENT
    return dict(parse_json(read_text(path), path)) if path.is_file() else {}
