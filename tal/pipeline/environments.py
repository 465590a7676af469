"""What a training ran on, ``environment.json``: versions and hardware, and nothing that names a person or a machine.

``{"trained_under": [ENVIRONMENT, ...]}``: the environments in which the training was worked on, in order. There is more
than one where a training was interrupted and gone on with elsewhere, and none for a training that was kept before
environments were recorded. It is written when the training begins, lies in the cache beside the model, is in no key,
and is copied with the model: of a run from the cache it tells what that model was trained under, not what copied it.
"""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path
from typing import Any

from tal import checkpoints
from tal.files import write_atomic
from tal.models import tool_version

FILE = "environment.json"
_KEY = "trained_under"
_CPUS = Path("/proc/cpuinfo")


def describe(device: str) -> dict[str, str | int]:
    """Return what computes here: versions, CPU, threads and device; no names of users or hosts, no paths.

    Args:
        device: See `tal.devices.pick_device`.

    Raises:
        BackendError: If the device is not there.
    """
    import numpy as np
    import torch

    from tal.devices import pick_device

    chosen = pick_device(device)
    found: dict[str, str | int] = {
        "tal": tool_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": _platform(),
        "cpu": cpu_name(),
        "cpu_instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": chosen.type,
    }
    if chosen.type == "cuda":
        found |= {"gpu": torch.cuda.get_device_name(chosen), "cuda": str(torch.version.cuda)}
    return found


def _platform() -> str:
    """Return system, processor family and C library; a kernel's release may bear its builder's name."""
    library = " ".join(part for part in platform.libc_ver() if part)
    return f"{platform.system()} {platform.machine()}" + (f", {library}" if library else "")


def cpu_name(cpus: Path = _CPUS) -> str:
    """Return the processor's name, or its family where the system does not tell."""
    try:
        named = re.search(r"^model name\s*:\s*(.+)$", cpus.read_text(), re.MULTILINE)
    except OSError:
        named = None
    return named.group(1).strip() if named else platform.processor() or platform.machine() or "unknown"


def record(work: Path, device: str) -> None:
    """Add this environment to those of the training in a work folder; without a checkpoint there are none before."""
    earlier = read(work) if (work / checkpoints.FILE).exists() else []
    here = describe(device)
    known = earlier if earlier[-1:] == [here] else [*earlier, here]
    write_atomic(work / FILE, _dumps(known))


def publish(entry: Path, folder: Path) -> None:
    """Copy what a finished training says to its run folder, leaving an equal file alone."""
    text, target = _dumps(read(entry)), folder / FILE
    if not target.is_file() or target.read_bytes() != text.encode():
        write_atomic(target, text)


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the environments that a folder's file names, none where there is no such file."""
    try:
        found = json.loads((folder / FILE).read_text())[_KEY]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _dumps(environments: list[dict[str, Any]]) -> str:
    return json.dumps({_KEY: environments}, indent=1) + "\n"
