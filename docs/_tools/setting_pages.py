"""The reference of the settings, made from their classes, and of the YAML that is shipped, with its sources."""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Literal, Union, get_args, get_origin

from markdown_words import block, code, plain, table
from pydantic import BaseModel

HEAD = ["setting", "what it means, its unit, where it comes from", "takes", "default"]
WORDS = {int: "whole number", float: "number", str: "text", Fraction: "rate, such as 25 or 30000/1001"}
BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}


def pages() -> dict[str, str]:
    """Return the address and the text of each page."""
    return {"reference/settings.md": settings_page(), "reference/shipped.md": shipped_page()}


def described(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstring of a group of settings says of each of them."""
    _, _, words = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w)", "\n" + words):
        name, colon, text = entry.strip().partition(":")
        if colon and name.isidentifier():
            found[name] = " ".join(text.split())
    return found


def settings_page() -> str:
    """Return the page of all settings, and of the methods' hyper-parameters."""
    from tal.settings import Settings

    parts = [
        "# All settings\n\nEvery one can stand in a YAML file (`--config FILE`) or be given as `--set KEY=VALUE`. "
        "A later source wins: code default, the method's shipped YAML, that of `--dataset`, that of `--preset`, "
        "`--config`, `--set`, a named option. A key that is not known is an error that names the nearest one.\n\n"
        "This page is made from the program. Methods and presets override some defaults: "
        "[shipped settings](shipped.md).\n",
        *(f"## {name}\n\n{_section(name, model)}" for name, model in _sections(Settings)),
        "## method\n\n`method.name` chooses the method; the other keys are its own. "
        "[The methods](../methods.md) tells the choices behind them.\n",
        *(f"### {name}\n\n{_section('method', model)}" for name, model in method_configs().items()),
    ]
    return "\n".join(parts)


def method_configs() -> dict[str, type[BaseModel]]:
    """Return the hyper-parameters of each method."""
    from tal import methods

    return {name: methods.load(name).Config for name in methods.available()}


def shipped_page() -> str:
    """Return the page with the YAML files that are shipped, comments and all."""
    from tal.files import shipped

    root = shipped("configs")
    groups = {"Methods": "methods/*.yaml", "Data sets": "datasets/*/*.yaml", "Extraction presets": "extract/*.yaml"}
    parts = [
        "# Shipped settings\n\nWhat each method, data set and preset sets, line by line with its source. "
        "`-m NAME` takes a method's, `--dataset NAME` a data set's, `--preset NAME` a preset's.\n"
    ]
    for title, pattern in groups.items():
        parts.append(f"## {title}\n")
        for path in sorted(root.glob(pattern)):
            name = path.relative_to(root).with_suffix("").as_posix().partition("/")[2]
            parts.append(f"### {name}\n\n{block(path.read_text(encoding='utf-8'), 'yaml')}")
    return "\n".join(parts)


def _sections(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def _section(prefix: str, model: type[BaseModel]) -> str:
    rows = list(_rows(prefix, model))
    return table(HEAD, rows) if rows else "No hyper-parameters.\n"


def _rows(prefix: str, model: type[BaseModel]) -> Iterator[list[str]]:
    words = described(model)
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _rows(f"{prefix}.{name}", kind)
            continue
        limits = [
            form.format(getattr(one, key))
            for one in field.metadata
            for key, form in BOUNDS.items()
            if hasattr(one, key)
        ]
        takes = ", ".join([plain(_kind(kind)), *map(plain, limits)])
        yield [f"`{prefix}.{name}`", plain(words.get(name, "")), takes, code(_value(field.get_default()))]


def _limits(metadata: list[Any]) -> Iterator[str]:
    for one in metadata:
        yield from (form.format(getattr(one, key)) for key, form in BOUNDS.items() if hasattr(one, key))


def _kind(kind: Any) -> str:
    """Return in words what values a type has."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f"``{value}``" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if one is type(None) else _kind(one) for one in inner)
    if origin in (tuple, list):
        return f"list of {_kind(inner[0])}" if inner[-1] is Ellipsis else f"{len(inner)} of {_kind(inner[0])}"
    if hasattr(kind, "__metadata__"):
        return _kind(kind.__origin__)
    return "``true``, ``false``" if kind is bool else WORDS.get(kind, str(getattr(kind, "__name__", kind)))


def _value(value: Any) -> str:
    """Return a default as it would stand in YAML."""
    return json.dumps(value, default=str)
