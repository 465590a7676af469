"""The networks that turn snippets into features: this folder is the registry.

A module here that defines ``BACKBONES`` (a tuple of `extract.backbones._base.Backbone`) is a family of networks, each
with a name of its own. A new family is one file here; nothing else names it. ``i3d`` serves both streams; the others
know RGB only.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from extract.backbones._base import Backbone, Embedder, Training
from tal.errors import BackendError, ConfigError, suggest
from tal.registry import public_modules

__all__ = ["Backbone", "Embedder", "Training", "available", "get", "load", "names", "why_not"]


@cache
def _backbones() -> dict[str, Backbone]:
    modules = [importlib.import_module(f"{__name__}.{family}") for family in public_modules(__path__)]
    return {backbone.name: backbone for module in modules for backbone in module.BACKBONES}


def names() -> tuple[str, ...]:
    """Return the names of all backbones, whether or not this machine can use them."""
    return tuple(_backbones())


def get(name: str) -> Backbone:
    """Return what is known about a backbone; nothing is loaded.

    Raises:
        ConfigError: If there is no backbone of this name.
    """
    if name not in _backbones():
        raise ConfigError(f"unknown backbone '{name}'{suggest(name, _backbones())}")
    return _backbones()[name]


def why_not(name: str) -> str | None:
    """Return why a backbone cannot be used on this machine, or None.

    Raises:
        ConfigError: If there is no backbone of this name.
    """
    return get(name).why_not()


def available() -> dict[str, str | None]:
    """Return every backbone's name with the reason why this machine cannot use it, or None."""
    return {name: backbone.why_not() for name, backbone in _backbones().items()}


def load(name: str, weights: Path | int, device: str = "cpu", stream: str = "rgb") -> Embedder:
    """Return a network, ready for clips.

    Args:
        name: A backbone.
        weights: A weight file, or the seed of random weights.
        device: Where to compute.
        stream: ``rgb``, or ``flow`` where the backbone knows it.

    Raises:
        ConfigError: If there is no backbone of this name, or it does not know the stream.
        BackendError: If the backbone or the device cannot be used here.
        WeightsError: If the file is damaged, holds code, or is not this network's.
    """
    backbone = get(name)
    if stream not in backbone.streams:
        raise ConfigError(f"backbone '{name}' has no {stream} stream; extract rgb alone, or use backbone 'i3d'")
    if reason := backbone.why_not():
        raise BackendError(f"backbone '{name}' cannot be used here: {reason}")
    from extract.backbones._network import Loaded

    try:
        return Loaded(backbone, weights, device, stream)
    except ImportError as error:
        raise BackendError(
            f"backbone '{name}' is installed but does not load: {' '.join(str(error).split())}"
        ) from error
