"""What this machine has for the pipeline, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from tal.cache import default_root
from tal.types import STREAMS

State = Literal["ok", "missing", "info"]


@dataclass(frozen=True)
class Check:
    """One line of the examination.

    Attributes:
        part: What was looked at.
        state: ``ok``, ``missing``, or ``info`` where there is nothing to judge.
        detail: Version, place, or what to do.
        needed: Whether the pipeline cannot run without it.
    """

    part: str
    state: State
    detail: str
    needed: bool = False


def examine(cache: Path | None = None) -> list[Check]:
    """Return what was found, most basic things first."""
    root = cache or default_root()
    return [*_versions(), *_devices(), *_engines(), *_weights(root), _cache(root)]


def _versions() -> list[Check]:
    packages = ("tal", "torch", "torchvision", "av", "opencv-contrib-python-headless", "numpy", "safetensors")
    machine = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return [Check("python", "ok", machine, True), *(_package(name) for name in packages)]


def _package(name: str) -> Check:
    try:
        return Check(name, "ok", metadata.version(name), True)
    except metadata.PackageNotFoundError:
        return Check(name, "missing", f"pip install {name}", True)


def _devices() -> list[Check]:
    import torch

    if not torch.cuda.is_available():
        return [Check("gpu", "info", "none that PyTorch can use; everything runs on the CPU")]
    found = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return [Check(f"gpu {i}", "ok", f"{p.name}, {p.total_memory / 2**30:.0f} GiB") for i, p in enumerate(found)]


def _engines() -> list[Check]:
    from extract import decoders, flow

    checks = []
    for kind, found in (("decoder", decoders.available()), ("flow", flow.available())):
        usable = [name for name, reason in found.items() if reason is None]
        checks += [Check(f"{kind} {name}", "ok" if not why else "info", why or "usable") for name, why in found.items()]
        if not usable:
            checks.append(Check(kind, "missing", "no engine is usable", True))
    return checks


def _weights(root: Path) -> list[Check]:
    from extract import weights

    checks = []
    for stream in STREAMS:
        found = weights.local(stream, root / "weights")
        detail = str(found.path) if found else "fetched on first use, or pass --weights FILE; random:0 needs none"
        checks.append(Check(f"weights {stream}", "ok" if found else "missing", detail))
    return checks


def _cache(root: Path) -> Check:
    there = root if root.exists() else next(parent for parent in root.absolute().parents if parent.exists())
    writable = os.access(there, os.W_OK)
    free = shutil.disk_usage(there).free / 2**30
    return Check("cache", "ok" if writable else "missing", f"{root}, {free:.0f} GiB free", True)
