"""What ``tal --version`` says: tal, what it stands on, its engines. Nothing of that is imported: it has to be quick."""

from __future__ import annotations

import platform
import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = ("torchvision", "av", "decord", "opencv-contrib-python-headless", "numba", "numpy")
DRIVER = Path("/proc/driver/nvidia/version")
SHORT = {"opencv-contrib-python-headless": "opencv", "av": "pyav"}


def lines() -> list[str]:
    """Return the version alone, then one line per aspect."""
    from cli.completing import modules
    from tal import __version__

    libraries = ", ".join(f"{SHORT.get(name, name)} {_installed(name)}" for name in LIBRARIES)
    engines = [name.replace("_", "-") for name in modules("extract.flow") if name != "presets"]
    return [
        f"tal {__version__}",
        f"python {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"torch {_installed('torch')}, {_built_for()}, {_driver()}",
        libraries,
        f"decoders: {', '.join(modules('extract.decoders'))}",
        f"flow engines: {', '.join(engines)}",
        "'tal doctor' tries them",
    ]


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _built_for() -> str:
    """Tell which CUDA PyTorch was built for, from a file of a few lines in its package."""
    spec = find_spec("torch")
    file = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    text = file.read_text(encoding="utf-8") if file and file.is_file() else ""
    found = re.search(r"^cuda\b[^=\n]*=\s*['\"]([0-9.]+)['\"]", text, re.MULTILINE)
    return f"built for CUDA {found[1]}" if found else "built without CUDA"


def _driver(file: Path = DRIVER) -> str:
    """Tell the version of NVIDIA's driver, as its kernel module writes it."""
    try:
        found = re.search(r"\b\d+\.\d+(\.\d+)?\b", file.read_text(encoding="utf-8"))
    except OSError:
        found = None
    return f"NVIDIA driver {found[0]}" if found else "no NVIDIA driver"
