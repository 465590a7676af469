"""Frame accuracy of class activations, before they are cut into detections (ECM, section 4.3, table 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tal.annotations import Truth
from tal.evaluation.arrays import to_arrays
from tal.evaluation.videos import frame_accuracy
from tal.types import Activations, Detection, SnippetGrid

ECM_THRESHOLD = 0.25
"""Video score that a class needs to be considered (ECM's tau)."""


def activation_accuracy(
    found: Mapping[str, tuple[Activations, SnippetGrid]],
    classes: Sequence[str],
    truth: Truth,
    threshold: float = ECM_THRESHOLD,
) -> float | None:
    """Return the part of the action time whose class is the strongest activation's, in [0, 1].

    At each snippet the class is that of the largest `cas` among the classes whose video score reaches the threshold. It
    is right where an instance of it is; time without an instance is left out, a video without such a class is wrong.

    Args:
        found: By video, what a method says and where its snippets lie.
        classes: Names of the C classes.
        truth: The evaluated videos.
        threshold: Least video score, in [0, 1].

    Returns:
        None if the truth has no action time.
    """
    detections = {name: _strongest(*one, classes, threshold) for name, one in found.items()}
    return frame_accuracy(to_arrays(detections, truth.videos))


def _strongest(
    activations: Activations, grid: SnippetGrid, classes: Sequence[str], threshold: float
) -> tuple[Detection, ...]:
    """Return one detection per snippet, of equal scores."""
    (kept,) = np.nonzero(activations.scores >= threshold)
    if not len(kept):
        return ()
    best = kept[activations.cas[:, kept].argmax(axis=1)]  # (T,)
    return tuple(Detection(classes[c], grid.segment(t, t + 1), 0.0) for t, c in enumerate(best))
