"""The rules by which detections are counted, one entry each; the same detections get different numbers from them.

activitynet: Each detection, best score first, takes the still free instance that it overlaps most, if
    tIoU >= threshold; of equal overlaps the later instance. AP is interpolated as in PASCAL VOC 2011. Of equal scores
    the one later in the results goes first, because the kit reverses an ascending sort. The kit's sort is not stable:
    where many scores are equal its numbers differ between processors, these do not. Used by STPN, CPMN, ASSG and ECM.
thumos14: ``TH14evalDet``. Each instance, in the order of the file, takes the still free detection of largest overlap,
    if tIoU > threshold; of equal overlaps the better score. Other detections that touch an ambiguous segment are
    ignored, the rest are false positives. AP is not interpolated. Equal scores go by video name, then by their order in
    the results. Used by CMCS.
wtalc: The evaluator of W-TALC. Truth and detections are rounded to whole snippets of 16 frames at 25 per second (of two
    equally near the even one). Detections that touch an ambiguous segment are removed first. Each detection, best score
    first, takes the first free instance in the order of the file whose tIoU >= threshold. AP is not interpolated. Of
    equal scores the earlier in the results goes first.
snippet: The evaluator of CO2-Net, also used by DELU and P-MIL. Truth is rounded to snippets, detections are not;
    detections that touch an ambiguous segment are removed first; then as ``activitynet``.

Truth that rounding leaves without length still counts as an instance; nothing can match it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SNIPPETS_PER_S = 25 / 16
"""Snippets in a second of video, for protocols that count in snippets: 16 frames at 25 frames per second."""


@dataclass(frozen=True)
class Protocol:
    """A way to count.

    Attributes:
        chooser: Whose turn it is: ``detections`` choose instances, best score first, or ``instances`` choose
            detections, in the order of the file.
        wish: What a chooser takes of what is free: the largest ``overlap``, or the ``first`` that overlaps enough.
        inclusive: Whether a tIoU of exactly the threshold is enough.
        rounds: What is rounded to whole snippets: nothing, the ``truth`` (the detections are in fractions of
            snippets), or ``both``.
        interpolated: Whether precision is made non-increasing before it is averaged.
        ambiguous: What detections that touch ambiguous time do: they ``count`` like all others, are ``forgiven`` if
            unmatched, or are ``removed`` before matching.
        equal_scores: What of equal scores goes first: the ``later`` in the results, the ``earlier``, or by video
            ``name`` and then the earlier.
    """

    chooser: Literal["detections", "instances"]
    wish: Literal["overlap", "first"]
    inclusive: bool
    rounds: Literal["nothing", "truth", "both"]
    interpolated: bool
    ambiguous: Literal["count", "forgiven", "removed"]
    equal_scores: Literal["later", "earlier", "name"]


PROTOCOLS: Mapping[str, Protocol] = {
    "activitynet": Protocol("detections", "overlap", True, "nothing", True, "count", "later"),
    "thumos14": Protocol("instances", "overlap", False, "nothing", False, "forgiven", "name"),
    "wtalc": Protocol("detections", "first", True, "both", False, "removed", "earlier"),
    "snippet": Protocol("detections", "overlap", True, "truth", True, "removed", "later"),
}
