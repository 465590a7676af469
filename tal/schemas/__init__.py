"""JSON Schemas (draft 2020-12) of the files that tal reads and writes; they travel with the package.

``config.json`` is made from the settings themselves (`tal.schemas.settings`), the others are written by hand under
``configs/schemas``. A schema says what one value may be. It cannot say that a segment ends after it starts, that two
videos have different names, or that a crop fits into its frame: the readers check those too, and name the place.

``python -m tal.schemas --write`` makes ``config.json`` anew.
"""

from __future__ import annotations

import json
from typing import Any

from tal.errors import ConfigError, suggest
from tal.files import shipped

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def names() -> list[str]:
    """Return the names of all schemas."""
    return sorted(path.stem for path in shipped("configs").joinpath("schemas").glob("*.json"))


def load(name: str) -> dict[str, Any]:
    """Return a schema as JSON-ready values.

    Args:
        name: Such as ``detections``; see `names`.

    Raises:
        ConfigError: If there is no such schema; suggests the nearest.
    """
    if name not in names():
        raise ConfigError(f"unknown schema '{name}'{suggest(name, names())}")
    path = shipped("configs") / "schemas" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
