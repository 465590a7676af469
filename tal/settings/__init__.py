"""Every setting of the pipeline, with its unit, its default and where the default comes from.

Settings are frozen; unknown keys are errors. What changes a result stands in the stage's own section and is part of
its cache key; what does not (device, workers, batch size) stands in `RuntimeSettings` and is not.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tal.settings.base import Section
from tal.settings.evaluation import EvaluateSettings, tiou_range
from tal.settings.extraction import ExtractSettings, FlowSettings, RuntimeSettings
from tal.settings.localization import LocalizeSettings
from tal.settings.training import TrainSettings

__all__ = [
    "EvaluateSettings",
    "ExtractSettings",
    "FlowSettings",
    "LocalizeSettings",
    "RuntimeSettings",
    "Section",
    "Settings",
    "TrainSettings",
    "tiou_range",
]


class Settings(Section):
    """All settings of a pipeline.

    Attributes:
        extract: From video to features.
        method: ``name`` and the method's own hyper-parameters, checked by the method.
        train: The training run.
        localize: From activations to detections.
        evaluate: Comparison with ground truth.
        runtime: Speed only.
    """

    extract: ExtractSettings = ExtractSettings()
    method: dict[str, Any] = Field(default_factory=lambda: {"name": "stpn"})
    train: TrainSettings = TrainSettings()
    localize: LocalizeSettings = LocalizeSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    runtime: RuntimeSettings = RuntimeSettings()
