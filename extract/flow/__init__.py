"""Dense optical flow, TV-L1 by default: this folder is the registry of engines.

A module here that defines ``Backend`` (an `extract.flow._base.FlowBackend`) is an engine; its name is the module's,
with ``-`` for ``_``. A new engine is one file. `choose` turns ``auto`` into the name that is really used, which is what
belongs in a cache key: engines differ by hundredths of a pixel.
"""

from __future__ import annotations

import importlib
from functools import cache

from extract.flow._base import FlowBackend, motion_px, to_gray
from tal.errors import BackendError, ConfigError, suggest
from tal.registry import public_modules

__all__ = ["FlowBackend", "available", "choose", "load", "motion_px", "to_gray"]


@cache
def _backends() -> dict[str, type[FlowBackend]]:
    """Return name to engine, the best first."""
    names = public_modules(__path__)
    modules = {name.replace("_", "-"): importlib.import_module(f"{__name__}.{name}") for name in names}
    found = {name: module.Backend for name, module in modules.items() if hasattr(module, "Backend")}
    return dict(sorted(found.items(), key=lambda item: (-item[1].priority, item[0])))


def available() -> dict[str, str | None]:
    """Return every engine, the best first, with the reason why this machine cannot use it, or None."""
    return {name: backend.why_not() for name, backend in _backends().items()}


def choose(name: str = "auto") -> str:
    """Return the name of the engine that `name` stands for; ``auto`` is the best usable one.

    Raises:
        ConfigError: If there is no such engine.
        BackendError: If the engine cannot be used here, or none can.
    """
    if name == "auto":
        return _best()
    if name not in _backends():
        raise ConfigError(f"unknown flow backend '{name}'{suggest(name, ['auto', *_backends()])}")
    if (reason := _backends()[name].why_not()) is not None:
        raise BackendError(f"flow backend '{name}' cannot be used here: {reason}, or choose 'auto'")
    return name


def _best() -> str:
    reasons = {}
    for name, backend in _backends().items():
        reasons[name] = backend.why_not()
        if reasons[name] is None:
            return name
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise BackendError(f"no flow backend can be used here: {told}")


def load(name: str = "auto", workers: int = 0, device: str = "cpu", quality: str = "default") -> FlowBackend:
    """Return an engine, ready for use.

    Args:
        name: An engine or ``auto``.
        workers: Threads for engines that compute on the CPU; 0 for all cores. Never changes a result.
        device: Where to compute, for engines that have the choice.
        quality: ``exact``, ``default`` or ``fast``: how many iterations.

    Raises:
        ConfigError: If there is no such engine or quality.
        BackendError: If the engine cannot be used here.
    """
    return _backends()[choose(name)](workers, device, quality)
