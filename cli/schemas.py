"""The command that prints what files may hold, for editors and for other programs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cli import options as o


def schema(
    name: Annotated[str | None, typer.Argument(help="Schema, such as detections or config; left out: all.")] = None,
    as_json: o.Json = False,
) -> None:
    """Print the JSON Schema of a kind of file; without a name, list them.

    Examples:
        tal schema

        tal schema detections

        tal schema config > tal.schema.json
    """
    from cli import render
    from tal import schemas

    if name is not None:
        print(json.dumps(schemas.load(name), indent=2, ensure_ascii=False))
        return
    listed = {known: schemas.load(known)["title"] for known in schemas.names()}
    if as_json:
        print(json.dumps([{"name": known, "title": title} for known, title in listed.items()], indent=1))
    else:
        render.table("", ("schema", "describes"), listed.items(), texts=(0, 1))
