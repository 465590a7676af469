"""Weakly supervised temporal action localization, from raw video to answer.

The functions load on first use: ``import tal`` itself loads neither PyTorch nor OpenCV.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tal.pipeline import ablate, evaluate, extract, localize, probe, run, train

__version__ = "0.1.0"
__all__ = ["__version__", "ablate", "evaluate", "extract", "localize", "probe", "run", "train"]


def __getattr__(name: str) -> Any:
    if name in {"ablate", "evaluate", "extract", "localize", "probe", "run", "train"}:
        return getattr(import_module("tal.pipeline"), name)
    raise AttributeError(f"module 'tal' has no attribute {name!r}")
