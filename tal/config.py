"""From YAML files and command-line settings to validated, frozen `Settings`.

Precedence: code default < shipped YAML of the method < that for the ``--dataset`` < that of the ``--preset`` <
``--config`` file < ``--set key=value`` < named option.
Messages name the key, where it was written and the nearest known key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tal import strict_yaml
from tal.errors import ConfigError, suggest
from tal.files import shipped
from tal.parsing import shown
from tal.settings import Settings

Model = TypeVar("Model", bound=BaseModel)
Tree = dict[str, Any]


def load(
    method: str | None = None,
    files: Sequence[Path | str] = (),
    sets: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    *,
    preset: str | None = None,
    dataset: str | None = None,
) -> Settings:
    """Return the settings that the sources give together.

    Args:
        method: Method name; else the one that the sources name, else ``stpn``.
        files: YAML files, later ones win.
        sets: ``key=value`` texts, values in YAML.
        options: Dotted keys to values; None values are left out.
        base: A complete tree of settings that takes the place of the shipped YAML, such as a model's own.
        preset: Name of a shipped convention of extracting features, such as ``cmcs``.
        dataset: Name of a data set that the method has shipped settings for, such as ``activitynet13``.

    Raises:
        ConfigError: For an unknown key, method or value, with the place it came from.
    """
    given = {k: v for k, v in (options or {}).items() if v is not None}
    if method is not None:
        given["method.name"] = method
    layers = [*_preset(preset), *((str(path), read_yaml(Path(path))) for path in files)]
    layers += [("--set", _nest(*_split(text))) for text in sets]
    layers += [("option", _nest(key, value)) for key, value in given.items()]
    if base is not None:
        return _combine([("the model's settings", dict(base)), *layers])
    name = _method_name([tree for _, tree in layers])
    shipped_yaml = shipped("configs") / "methods" / f"{name}.yaml"
    return _combine([(str(shipped_yaml), read_yaml(shipped_yaml)), *_dataset(dataset, name), *layers])


def methods() -> list[str]:
    """Return the names of the methods that have a shipped YAML."""
    return _names("methods")


def presets() -> list[str]:
    """Return the names of the shipped conventions of extracting features."""
    return _names("extract")


def datasets(method: str) -> list[str]:
    """Return the names of the data sets that a method has shipped settings for, beside its own."""
    return sorted(path.parent.name for path in (shipped("configs") / "datasets").glob(f"*/{method}.yaml"))


def _names(folder: str) -> list[str]:
    return sorted(path.stem for path in (shipped("configs") / folder).glob("*.yaml"))


def _preset(name: str | None) -> list[tuple[str, Tree]]:
    if name is None:
        return []
    if name not in presets():
        raise ConfigError(f"unknown preset '{name}'{suggest(name, presets())}")
    path = shipped("configs") / "extract" / f"{name}.yaml"
    return [(str(path), read_yaml(path))]


def _dataset(name: str | None, method: str) -> list[tuple[str, Tree]]:
    if name is None:
        return []
    if name not in datasets(method):
        raise ConfigError(f"no settings of {method} for a data set '{name}'{suggest(name, datasets(method))}")
    path = shipped("configs") / "datasets" / name / f"{method}.yaml"
    return [(str(path), read_yaml(path))]


def read_yaml(path: Path) -> Tree:
    """Read a YAML mapping.

    Raises:
        ConfigError: If the file is missing or is not a mapping; names the line of a syntax error.
    """
    try:
        tree = strict_yaml.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read configuration {path}: {getattr(error, 'strerror', None) or error}") from error
    except strict_yaml.NotYaml as error:
        line = f", line {error.line}" if error.line else ""
        raise ConfigError(f"{path}{line}: not YAML: {error}") from error
    if not isinstance(tree, dict | None):
        raise ConfigError(f"{path}: expected a mapping of sections such as 'train:', found {type(tree).__name__}")
    return tree or {}


def check(model: type[Model], tree: Mapping[str, Any], where: str = "", prefix: str = "") -> Model:
    """Validate `tree` as `model`; the first problem becomes one line.

    Raises:
        ConfigError: ``where: unknown key 'train.lrr'; did you mean 'train.lr'?``
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_message(error, model, where, prefix)) from error


def _combine(layers: Sequence[tuple[str, Tree]]) -> Settings:
    merged: Tree = {}
    for _, tree in layers:
        merged = merge(merged, tree)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        path = [str(part) for part in error.errors(include_url=False)[0]["loc"]]
        raise ConfigError(_message(error, Settings, _writer(path, layers), "")) from error


def _writer(path: Sequence[str], layers: Sequence[tuple[str, Tree]]) -> str:
    """Return the last layer that wrote the setting at `path`."""
    return next((where for where, tree in reversed(layers) if _writes(tree, path)), "")


def _writes(tree: Any, path: Sequence[str]) -> bool:
    if not path or not isinstance(tree, Mapping):
        return True
    return path[0] in tree and _writes(tree[path[0]], path[1:])


def merge(base: Mapping[str, Any], extra: Mapping[str, Any]) -> Tree:
    """Return `base` with `extra` laid over it, section by section."""
    merged = dict(base)
    for key, value in extra.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def _method_name(trees: Sequence[Tree]) -> str:
    name = "stpn"
    for tree in trees:
        section = tree.get("method")
        if isinstance(section, Mapping) and "name" in section:
            name = str(section["name"])
    if name not in methods():
        raise ConfigError(f"unknown method {shown(name)}{suggest(name[:80], methods())}")
    return name


def _split(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r}: write key=value, e.g. --set train.lr=1e-4")
    try:
        return key.strip(), strict_yaml.parse(value)
    except strict_yaml.NotYaml as error:
        raise ConfigError(f"--set {text!r}: the value is not YAML") from error


def _nest(key: str, value: Any) -> Tree:
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _message(error: ValidationError, model: type[BaseModel], where: str, prefix: str) -> str:
    problem = error.errors(include_url=False)[0]
    path = [str(part) for part in problem["loc"]]
    key = ".".join([prefix, *path] if prefix else path)
    place = f"{where}: " if where else ""
    if problem["type"] == "extra_forbidden":
        return f"{place}unknown key '{key}'{_suggest_key(model, path, prefix)}"
    text = problem["msg"].removeprefix("Value error, ")
    text = text[0].lower() + text[1:]
    return f"{place}{key or 'settings'}: {text}" + (
        f" (got {problem['input']!r})" if path and _short(problem["input"]) else ""
    )


def _short(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | None) and len(repr(value)) < 60


def _suggest_key(model: type[BaseModel], path: Sequence[str], prefix: str) -> str:
    known = keys(model, prefix)
    text = ".".join([prefix, *path] if prefix else path)
    parent = text.rpartition(".")[0]
    beside = [key for key in known if key.rpartition(".")[0] == parent]
    hint = suggest(text, known)
    return hint if "did you mean" in hint else suggest(text, beside)


def keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted names of all settings of `model`."""
    found = []
    for name, field in model.model_fields.items():
        dotted = f"{prefix}.{name}" if prefix else name
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += [dotted, *keys(inner, dotted)]
        else:
            found.append(dotted)
    return found
