"""Detections and ground truth as arrays: sorted and rounded once, as the protocol says.

Axes: D detections of known labels (by class, best score first), I instances (in the order of the truth), K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from tal.annotations import VideoTruth
from tal.evaluation.overlaps import Floats, Ints, Spans, overlapping
from tal.settings.protocols import SNIPPETS_PER_S, Protocol
from tal.types import Detection, Segment

Bools = NDArray[np.bool_]
Detections = Mapping[str, Sequence[Detection]]
Videos = Mapping[str, VideoTruth]


@dataclass(frozen=True)
class Labelled:
    """Labelled segments of many videos, n of them.

    Attributes:
        video: Index of the video, (n,).
        label: Index of the class, (n,); -1 for a label that the truth does not know.
        bounds: Starts and ends, in seconds or snippets, (n, 2).
        score: Scores, (n,); zeros for instances.
    """

    video: Ints
    label: Ints
    bounds: Floats
    score: Floats

    def take(self, which: Ints | Bools) -> Labelled:
        """Return some of them, in the order of `which`."""
        return Labelled(self.video[which], self.label[which], self.bounds[which], self.score[which])

    def spans(self, n_classes: int) -> Spans:
        """Return them in one group per video and class."""
        return Spans(self.video * n_classes + self.label, self.bounds)


@dataclass(frozen=True)
class Arrays:
    """What is compared.

    Attributes:
        videos: Names, those of the truth first.
        classes: Names, sorted, (K,).
        detections: In the order of the results, in seconds.
        instances: In the order of the truth, in seconds.
        ambiguous: Time that counts neither for nor against a detection, by video, in seconds.
    """

    videos: tuple[str, ...]
    classes: tuple[str, ...]
    detections: Labelled
    instances: Labelled
    ambiguous: Spans


def to_arrays(detections: Detections, videos: Videos) -> Arrays:
    """Lay out detections and ground truth; videos that the truth does not know are kept."""
    names = (*videos, *(name for name in detections if name not in videos))
    index = {name: n for n, name in enumerate(names)}
    found = list(chain.from_iterable(detections.values()))
    real = [i for video in videos.values() for i in video.instances]
    vague = [s for video in videos.values() for s in video.ambiguous]
    classes = tuple(sorted({i.label for i in real}))
    code = {label: n for n, label in enumerate(classes)}
    where = np.repeat([index[name] for name in detections], [len(listed) for listed in detections.values()])
    counts = np.array([(len(video.instances), len(video.ambiguous)) for video in videos.values()]).reshape(-1, 2)
    truths = np.arange(len(videos))
    return Arrays(
        names,
        classes,
        Labelled(
            where.astype(np.int64),
            np.fromiter(map(code.get, map(attrgetter("label"), found), repeat(-1)), np.int64, len(found)),
            _bounds(list(map(attrgetter("segment"), found))),
            np.fromiter(map(attrgetter("score"), found), np.float64, len(found)),
        ),
        Labelled(
            np.repeat(truths, counts[:, 0]),
            np.fromiter((code[i.label] for i in real), np.int64, len(real)),
            _bounds([i.segment for i in real]),
            np.zeros(len(real)),
        ),
        Spans(np.repeat(truths, counts[:, 1]), _bounds(vague)),
    )


def _bounds(segments: Sequence[Segment]) -> Floats:
    both = np.empty((len(segments), 2))
    both[:, 0] = np.fromiter(map(attrgetter("start_s"), segments), np.float64, len(segments))
    both[:, 1] = np.fromiter(map(attrgetter("end_s"), segments), np.float64, len(segments))
    return both


def ranked(arrays: Arrays, protocol: Protocol) -> tuple[Labelled, Labelled, Bools]:
    """Return detections and instances as a protocol sees them.

    Returns:
        Detections of known labels, by class, then best score first, without removed ones; instances; which detections
        are forgiven if they match nothing, (D,).
    """
    found, real, vague = arrays.detections.take(_ranking(arrays, protocol)), arrays.instances, arrays.ambiguous
    if protocol.rounds != "nothing":
        # A whole number of snippets stays whole: 16 * 0.64 s * 25 / 16 is 16 to the sixth digit.
        found = replace(found, bounds=_snippets(found.bounds, 0 if protocol.rounds == "both" else 6))
        real, vague = replace(real, bounds=_snippets(real.bounds)), Spans(vague.group, _snippets(vague.bounds))
    touches = np.zeros(len(found.video), dtype=bool)
    if protocol.ambiguous != "count":
        touches[overlapping(Spans(found.video, found.bounds), vague).a] = True
    if protocol.ambiguous == "removed":
        found, touches = found.take(~touches), touches[~touches]
    return found, real, touches


def _ranking(arrays: Arrays, protocol: Protocol) -> Ints:
    """Return the indices of detections of known labels, by class, then best score first, then by the tie's rule."""
    found = arrays.detections
    (known,) = np.nonzero(found.label >= 0)
    if protocol.equal_scores == "name":
        place = {name: n for n, name in enumerate(sorted(arrays.videos))}
        places = np.array([place[name] for name in arrays.videos], np.int64)
        known = known[np.argsort(places[found.video[known]], kind="stable")]
    elif protocol.equal_scores == "later":
        known = known[::-1]
    order: Ints = known[np.lexsort((-found.score[known], found.label[known]))]  # stable
    return order


def _snippets(bounds: Floats, digits: int = 0) -> Floats:
    """Convert seconds to snippets."""
    return np.round(bounds * SNIPPETS_PER_S, digits)
