"""The schema of configuration files, made from the settings: types and bounds from pydantic, words from docstrings."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from tal import methods
from tal.schemas import DRAFT
from tal.settings import Settings
from tal.settings.evaluation import MAX_THRESHOLDS
from tal.settings.protocols import PROTOCOLS

Tree = dict[str, Any]
_ENTRY = re.compile(r"    (\w+): (.*)")
_NUMBER = r"[0-9]+(\.[0-9]+)?"
_THRESHOLD = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_RATE = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1000},
        {"type": "string", "pattern": rf"^({_NUMBER}|[0-9]+/[1-9][0-9]*)$"},
    ]
}
_TIOU = {
    "anyOf": [
        _THRESHOLD,
        {"type": "array", "items": _THRESHOLD, "minItems": 1},
        {"type": "string", "pattern": f"^(all|{_NUMBER}:{_NUMBER}:{_NUMBER})$"},
    ],
    "$comment": f"A range FIRST:LAST:STEP holds both ends and at most {MAX_THRESHOLDS} thresholds.",
}
_READ_BY_HAND: Mapping[tuple[str, str], Tree] = {
    ("ExtractSettings", "fps"): _RATE,
    ("EvaluateSettings", "tiou"): _TIOU,
    ("EvaluateSettings", "protocol"): {"type": "string", "enum": list(PROTOCOLS)},
}
"""Settings that a validator of ours reads, of which pydantic knows the outcome alone."""


def config_schema() -> Tree:
    """Return the schema of a YAML file for ``--config``; loads all methods, and PyTorch with them."""
    made = Settings.model_json_schema()
    sections = {name: _section(name, tree) for name, tree in made["$defs"].items()}
    known = {f"method_{name}": _method(name) for name in methods.available()}
    properties = _described(made["properties"], Settings)
    properties["method"] = {
        "description": f"{properties['method']['description']} Without a name, the hyper-parameters of any one method.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in known],
    }
    return {
        "$schema": DRAFT,
        "$id": "urn:tal:schema:config",
        "title": "Settings of tal",
        "description": "A YAML file for --config: any part of the settings; what is left out keeps its default. Units "
        "end names (_s seconds) or stand in the description. Numbers written as texts, such as YAML's 1e-4, are read.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": {**sections, **known},
    }


def dumps(schema: Mapping[str, Any]) -> str:
    """Return the text of a schema file."""
    return json.dumps(schema, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _section(name: str, tree: Tree) -> Tree:
    import tal.settings

    model: type[BaseModel] = getattr(tal.settings, name)
    properties = _described(tree["properties"], model)
    for (section, key), read in _READ_BY_HAND.items():
        if section == name:
            kept = {k: v for k, v in properties[key].items() if k in ("description", "default")}
            properties[key] = {**read, **kept}
    return _object(_first_line(model), properties)


def _method(name: str) -> Tree:
    model: type[BaseModel] = methods.load(name).Config
    tree = model.model_json_schema()
    if "$defs" in tree:
        raise ValueError(f"hyper-parameters of {name} with sections of their own")
    named = {"description": "The method.", "const": name}
    return _object(_first_line(model), {"name": named, **_described(tree["properties"], model)})


def _object(description: str, properties: Tree) -> Tree:
    return {"description": description, "type": "object", "properties": properties, "additionalProperties": False}


def _described(properties: Mapping[str, Tree], model: type[BaseModel]) -> Tree:
    """Return properties with the words of the class's docstring in place of pydantic's titles.

    A section's default would repeat those of its settings and is left out.
    """
    words = attributes(model)
    left_out = {name: {"title", "default"} if "$ref" in tree else {"title"} for name, tree in properties.items()}
    return {
        name: {"description": words[name], **{k: v for k, v in tree.items() if k not in left_out[name]}}
        for name, tree in properties.items()
    }


def _first_line(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "").split("\n", 1)[0]


def attributes(model: type[BaseModel]) -> dict[str, str]:
    """Return what a class's docstring says of each attribute, on one line."""
    found: dict[str, str] = {}
    name, section = "", inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")[2]
    for line in section.splitlines():
        if entry := _ENTRY.fullmatch(line):
            name, found[entry[1]] = entry[1], entry[2].replace("``", "")
        elif name and line.strip():
            found[name] += f" {line.strip()}".replace("``", "")
    return found
