"""The decoders: this folder is the registry.

A module here defines ``Backend`` (an `extract.decoders._base.Decoder`) and ``missing()``, which says why it cannot be
used on this machine. ``PRIORITY``, an integer, is its rank for ``auto``, which never takes one of 0 or without a rank.
``MISREADS`` maps what it is known to read wrongly, FFmpeg's names of containers among them, to the reason in a few
words; ``auto`` never takes a decoder for a container that it misreads. A new decoder is one file here; nothing else
names it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from extract.decoders._base import Decoder
from tal.errors import BackendError, ConfigError, suggest
from tal.registry import public_modules


def available() -> dict[str, str | None]:
    """Return every decoder's name with None if it can be used here, else with the reason in one line."""
    return {name: _module(name).missing() for name in _names()}


def choose(name: str = "auto", container: str = "") -> str:
    """Return the name of the decoder that `name` stands for; ``auto`` is the usable one of the highest rank.

    Args:
        name: A decoder or ``auto``.
        container: FFmpeg's name of the container that is to be read, as in `VideoInfo.container`; empty if any.

    Raises:
        ConfigError: If there is no decoder of this name.
        BackendError: If the decoder cannot be used here, or none can.
    """
    if name == "auto":
        return _best(container)
    if name not in _names():
        raise ConfigError(f"unknown decoder '{name}'{suggest(name, ['auto', *_names()])}")
    if reason := _module(name).missing():
        raise BackendError(f"decoder '{name}' cannot be used here: {reason}")
    return name


def load(name: str = "auto", container: str = "") -> Decoder:
    """Return a decoder; the arguments are those of `choose`.

    Raises:
        ConfigError: If there is no decoder of this name.
        BackendError: If the decoder cannot be used here or does not load.
    """
    name = choose(name, container)
    try:
        decoder: Decoder = _module(name).Backend()
    except (ImportError, OSError) as error:
        raise BackendError(f"decoder '{name}' is installed but does not load: {str(error).strip()}") from error
    return decoder


def _best(container: str) -> str:
    """Return the usable decoder of the highest rank that does not misread a container."""
    ranks = {name: getattr(_module(name), "PRIORITY", 0) for name in _names()}
    reasons = {}
    for name in sorted((name for name, rank in ranks.items() if rank > 0), key=lambda name: (-ranks[name], name)):
        reason = getattr(_module(name), "MISREADS", {}).get(container) or _module(name).missing()
        if reason is None:
            return name
        reasons[name] = reason
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise BackendError(f"no decoder can be used here: {told}")


def _names() -> list[str]:
    return public_modules(__path__)


def _module(name: str) -> Any:
    return import_module(f"{__name__}.{name}")
