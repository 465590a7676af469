"""Weakly supervised temporal action localization, from raw video to answer.

The functions and values load on first use: ``import tal`` itself loads neither PyTorch nor OpenCV.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tal.errors import TalError
    from tal.pipeline import (
        ablate,
        check_data,
        compare,
        diagnose,
        evaluate,
        export_detections,
        export_features,
        extract,
        import_annotations,
        import_features,
        import_model,
        localize,
        model_settings,
        probe,
        reproduce,
        run,
        train,
    )
    from tal.pipeline import report as make_report
    from tal.pipeline.timelines import gather as gather_timelines
    from tal.results import Results
    from tal.settings import Settings
    from tal.timelines import Timeline
    from tal.types import Detection, Segment

__version__ = "0.1.0"
__all__ = [
    "Detection",
    "Results",
    "Segment",
    "Settings",
    "TalError",
    "Timeline",
    "__version__",
    "ablate",
    "check_data",
    "compare",
    "diagnose",
    "evaluate",
    "export_detections",
    "export_features",
    "extract",
    "gather_timelines",
    "import_annotations",
    "import_features",
    "import_model",
    "localize",
    "make_report",
    "model_settings",
    "probe",
    "reproduce",
    "run",
    "train",
]
_HOMES = {
    "Detection": ("tal.types", "Detection"),
    "Results": ("tal.results", "Results"),
    "Segment": ("tal.types", "Segment"),
    "Settings": ("tal.settings", "Settings"),
    "TalError": ("tal.errors", "TalError"),
    "Timeline": ("tal.timelines", "Timeline"),
    "gather_timelines": ("tal.pipeline.timelines", "gather"),
    "make_report": ("tal.pipeline", "report"),
}
"""Module and name there, of what is not in `tal.pipeline` under its own name; ``tal.report`` is a package."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        module, attribute = _HOMES.get(name, ("tal.pipeline", name))
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'tal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
