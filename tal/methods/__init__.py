"""The methods: this folder is the registry.

A module here defines ``Config`` (the paper's hyper-parameters) and ``Network`` (a `tal.methods._base.Method`). A new
method is one file here and one YAML under ``configs/methods``; nothing else names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from tal import config
from tal.errors import ConfigError, suggest
from tal.registry import public_modules


def available() -> list[str]:
    """Return the names of the methods, without loading any of them."""
    return public_modules(__path__)


def load(name: str) -> ModuleType:
    """Import a method's module, and with it PyTorch.

    Raises:
        ConfigError: If there is no such method.
    """
    if name not in available():
        raise ConfigError(f"unknown method '{name}'{suggest(name, available())}")
    return import_module(f"{__name__}.{name}")


def resolve(settings: Mapping[str, Any]) -> BaseModel:
    """Return the method's ``Config`` for ``{"name": ..., **hyper-parameters}``.

    Raises:
        ConfigError: If the name, a hyper-parameter or a value is not known to the method.
    """
    if "name" not in settings:
        raise ConfigError(f"method.name is missing; known: {', '.join(available())}")
    module = load(str(settings["name"]))
    rest = {key: value for key, value in settings.items() if key != "name"}
    return config.check(module.Config, rest, prefix="method")  # type: ignore[no-any-return]
