"""What can be drawn as a timeline, said so that no layer has to know those above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tal.types import Detection, Segment


class Placed(Protocol):
    """An action at its place, scored or not."""

    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def segment(self) -> Segment: ...  # noqa: D102


class Drawable(Protocol):
    """What is drawn of a video; `tal.timelines.Timeline` has more."""

    @property
    def video(self) -> str: ...  # noqa: D102
    @property
    def duration_s(self) -> float: ...  # noqa: D102
    @property
    def labels(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def detections(self) -> Sequence[Detection]: ...  # noqa: D102
    @property
    def truth(self) -> Sequence[Placed] | None: ...  # noqa: D102
    @property
    def curves(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def marks(self) -> Sequence[Any]: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Detected:
    """A video of which nothing is known but what was detected in it.

    Attributes:
        video: Its name.
        detections: In any order.
        reason: Why there are none, where something tells.
    """

    video: str
    detections: tuple[Detection, ...]
    reason: str = ""
    truth: None = None
    marks: tuple[()] = ()

    @property
    def curves(self) -> Mapping[str, Any]:
        """No curves."""
        return {}

    @property
    def duration_s(self) -> float:
        """End of the last detection, seconds; 0 without any."""
        return max((found.segment.end_s for found in self.detections), default=0.0)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, the one with the best detection first."""
        best = sorted(self.detections, key=lambda found: (-found.score, found.label))
        return tuple(dict.fromkeys(found.label for found in best))
