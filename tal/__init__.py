"""Weakly supervised temporal action localization, from raw video to answer.

The functions load on first use: ``import tal`` itself loads neither PyTorch nor OpenCV.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tal.pipeline import (
        ablate,
        check_data,
        compare,
        diagnose,
        evaluate,
        export_features,
        extract,
        import_features,
        import_model,
        localize,
        probe,
        reproduce,
        run,
        train,
    )

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "ablate",
    "check_data",
    "compare",
    "diagnose",
    "evaluate",
    "export_features",
    "extract",
    "import_features",
    "import_model",
    "localize",
    "probe",
    "reproduce",
    "run",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("tal.pipeline"), name)
    raise AttributeError(f"module 'tal' has no attribute {name!r}")
