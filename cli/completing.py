"""Values that shells complete: what a word on the command line can stand for.

Each function takes what was typed so far and returns the values that begin with it. A shell waits for the answer, so
names are read from folders and small files: nothing here loads PyTorch or a decoder. Where nothing fits, the shell
offers files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import typer

DEVICES = ("auto", "cpu", "cuda", "cuda:0", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
PROTOCOLS = ("activitynet", "thumos14", "wtalc", "snippet")
BUCKETS = ("activitynet", "thumos14", "quantiles")
PARTS = ("videos", "features", "annotations")
WEIGHTS = ("default", "random:0")
CONVENTIONS = ("start", "centre")
STREAMS = ("rgb", "flow", "rgb,flow", "flow,rgb")


def words(values: Sequence[str]) -> Callable[[str], list[str]]:
    """Return the completion of one of a few values."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(values, incomplete)

    return complete


def _beginning(values: Iterable[str], incomplete: str) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]


def methods(incomplete: str) -> list[str]:
    """Complete the name of a method."""
    return _beginning(_yaml_names("methods"), incomplete)


def presets(incomplete: str) -> list[str]:
    """Complete the name of a convention of extracting."""
    return _beginning(_yaml_names("extract"), incomplete)


def datasets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a data set that the method, if one was named before, has settings for."""
    named = ctx.params.get("method") or "*"
    found = {path.parent.name for path in (_configs() / "datasets").glob(f"*/{named}.yaml")}
    return _beginning(sorted(found), incomplete)


def described(incomplete: str) -> list[str]:
    """Complete a described data set."""
    return _beginning(_yaml_names("data"), incomplete)


def decoders(incomplete: str) -> list[str]:
    """Complete the name of a decoder."""
    return _beginning(["auto", *modules("extract.decoders")], incomplete)


def flows(incomplete: str) -> list[str]:
    """Complete the name of a flow engine."""
    engines = [name.replace("_", "-") for name in modules("extract.flow") if name != "presets"]
    return _beginning(["auto", *engines], incomplete)


def backbones(incomplete: str) -> list[str]:
    """Complete the name of a network."""
    from extract import backbones as known

    return _beginning(known.names(), incomplete)


def layouts(incomplete: str) -> list[str]:
    """Complete a layout of features that can be read."""
    return _beginning(modules("tal.feature_sets"), incomplete)


def written_layouts(incomplete: str) -> list[str]:
    """Complete a layout of features that can be written."""
    from tal import feature_sets

    return _beginning(feature_sets.exportable(), incomplete)


def video_sets(incomplete: str) -> list[str]:
    """Complete a named set of videos."""
    import yaml

    known = yaml.safe_load((_configs() / "videosets.yaml").read_text(encoding="utf-8"))
    return _beginning(known, incomplete)


def benchmarks(incomplete: str) -> list[str]:
    """Complete the name of a benchmark."""
    from tal import bench

    return _beginning(["list", *bench.available()], incomplete)


def runs(incomplete: str) -> list[str]:
    """Complete a folder that holds a trained model: under what was typed, or under ``runs``."""
    typed = incomplete.rpartition("/")[0]
    found: set[Path] = set()
    for folder in (typed,) if typed else (".", "runs"):
        found |= {path.parent for path in Path(folder).glob("*/model.safetensors")}
    return _beginning(sorted(map(str, found)), incomplete)


def runs_and_detections(incomplete: str) -> list[str]:
    """Complete a run folder or a JSON file."""
    typed = incomplete.rpartition("/")[0]
    return [*runs(incomplete), *_beginning(sorted(map(str, Path(typed or ".").glob("*.json"))), incomplete)]


def stages(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a stage of which the cache keeps something."""
    return _beginning(sorted({entry.parents[1].name for entry in _entries(ctx)}), incomplete)


def keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the key of a cache entry."""
    return _beginning(sorted(entry.name[:12] for entry in _entries(ctx)), incomplete)


def _entries(ctx: typer.Context) -> list[Path]:
    from tal.cache import ENTRY, default_root

    root = Path(ctx.params.get("cache") or default_root())
    return [file.parent for file in root.glob(f"*/??/*/{ENTRY}")]


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the key of ``KEY=VALUE``; one that is unique is offered with its default, too.

    Two offers keep the shell from setting a space behind the equals sign.
    """
    known = _settings(str(ctx.params.get("method") or "stpn"))
    fitting = [key for key in known if f"{key}=".startswith(incomplete)]
    both = [f"{fitting[0]}={known[fitting[0]]}"] if len(fitting) == 1 else []
    return [*(f"{key}=" for key in fitting), *both]


def _settings(method: str) -> dict[str, str]:
    """Return every key with its default as YAML writes it in one line."""
    from tal import config
    from tal.settings import Settings

    plain = config.load(method if method in config.methods() else None).model_dump(mode="json")
    sections = [key for key in config.keys(Settings) if isinstance(_at(plain, key), dict)]
    found = {key: _at(plain, key) for key in config.keys(Settings) if key not in sections}
    found |= {f"method.{name}": value for name, value in plain["method"].items() if name != "name"}
    return {key: _written(value) for key, value in sorted(found.items())}


def _at(tree: object, key: str) -> object:
    for part in key.split("."):
        tree = tree[part] if isinstance(tree, dict) else None
    return tree


def _written(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def modules(package: str) -> list[str]:
    """Return the names of a package's public modules; the package itself is not imported."""
    from importlib.util import find_spec

    spec = find_spec(package)
    folders = (spec and spec.submodule_search_locations) or []
    found = {path.stem for folder in folders for path in Path(folder).glob("*.py")}
    return sorted(name for name in found if not name.startswith("_"))


def _yaml_names(folder: str) -> list[str]:
    return sorted(path.stem for path in (_configs() / folder).glob("*.yaml"))


def _configs() -> Path:
    from tal.files import shipped

    return shipped("configs")
