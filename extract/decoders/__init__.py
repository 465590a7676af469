"""The decoders: this folder is the registry.

A module here defines ``Backend`` (an `extract.decoders._base.Decoder`) and ``missing()``, which says why it cannot be
used on this machine. A new decoder is one file here; nothing else names it.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from extract.decoders._base import Decoder
from tal.errors import BackendError, ConfigError, suggest

AUTO = "pyav"
"""What ``auto`` means: damaged files, MPEG-TS, edit lists and bounded memory all work in it."""


def available() -> dict[str, str | None]:
    """Return every decoder's name with None if it can be used here, else with the reason in one line."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return {name: _module(name).missing() for name in names}


def choose(name: str = "auto") -> str:
    """Return the name of the decoder that `name` stands for, without loading its library.

    Raises:
        ConfigError: If there is no decoder of this name.
        BackendError: If its library is not installed here.
    """
    known = available()
    name = AUTO if name == "auto" else name
    if name not in known:
        raise ConfigError(f"unknown decoder '{name}'{suggest(name, ['auto', *known])}")
    if reason := known[name]:
        raise BackendError(f"decoder '{name}' cannot be used here: {reason}")
    return name


def load(name: str = "auto") -> Decoder:
    """Return a decoder.

    Raises:
        ConfigError: If there is no decoder of this name.
        BackendError: If its library is not installed here or does not load.
    """
    name = choose(name)
    try:
        decoder: Decoder = _module(name).Backend()
    except (ImportError, OSError) as error:
        raise BackendError(f"decoder '{name}' is installed but does not load: {str(error).strip()}") from error
    return decoder


def _module(name: str) -> Any:
    return import_module(f"{__name__}.{name}")
