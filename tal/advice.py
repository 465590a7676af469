"""What will hurt a training, said before it: sentences and remedies for people, codes for programs.

Everything here is a rule of thumb. The numbers behind `FEW_VIDEOS` are those of the data sets that published results
rest on: THUMOS14 trains on 10 to 20 videos per class (200 videos, 20 classes), ActivityNet-1.3 on 50 (10 024 videos,
200 classes). No paper says what fewer do.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import numpy as np

from tal.annotations import Labels
from tal.annotations.spelling import alike
from tal.shards import ShardHeader
from tal.types import FloatArray

FEW_VIDEOS = 10
"""Videos per class below which results should not be trusted."""
IMBALANCE = 10
"""How many times the rarest class's videos the most frequent one may have."""
SHORT_S = 10.0
"""Median length up to which videos are probably cut to the action: clips of UCF101 last 7 s, of Kinetics 10 s."""
FEW_SNIPPETS = 8
"""Median number of snippets below which there is hardly a place for background."""
TWIN_DISTANCE = 0.1
"""Distance of features, relative to that from the mean of all, up to which two videos are taken for one."""
TWIN_LENGTH_S = 0.25
"""By how much the lengths of such videos may differ."""
NAMED = 3


@dataclass(frozen=True)
class Advice:
    """One thing that will hurt.

    Attributes:
        code: For programs.
        text: What is the matter.
        remedy: What to do.
    """

    code: str
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}"

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class Sketch:
    """A glance at one video's features.

    Attributes:
        constant: Names of streams whose snippets are all the same.
        vector: A few snippets, one behind the other, (D',).
    """

    constant: tuple[str, ...]
    vector: FloatArray


@dataclass(frozen=True)
class Material:
    """What a training will learn from.

    Attributes:
        labels: Of the training videos.
        headers: Video name to the header of its shard, as far as it can be read.
        sketches: Video name to a glance at its features.
        unlabelled: Videos with features and without a label.
    """

    labels: Labels
    headers: Mapping[str, ShardHeader] = field(default_factory=dict)
    sketches: Mapping[str, Sketch] = field(default_factory=dict)
    unlabelled: Collection[str] = ()


def advise(material: Material) -> tuple[Advice, ...]:
    """Return what will hurt a training, the worst first; nothing where all looks well."""
    return tuple(one for rule in RULES for one in rule(material))


def _one_video(material: Material) -> Iterator[Advice]:
    if len(material.labels.by_video) == 1:
        yield Advice("one video", "there is one training video", "label more: it takes several to see what repeats")


def _one_class(material: Material) -> Iterator[Advice]:
    classes = material.labels.classes
    if len(classes) == 1 and len(material.labels.by_video) > 1:
        text = f"every video has the one label '{classes[0]}', so nothing shows what it is not"
        yield Advice("one class", text, "add videos of other actions under labels of their own")


def _everywhere(material: Material) -> Iterator[Advice]:
    by_class, n = _by_class(material.labels), len(material.labels.by_video)
    for label, videos in by_class.items():
        if len(videos) == n > 1 and len(by_class) > 1:
            text = f"'{label}' is in each of the {n} videos, so nothing shows what it is not"
            yield Advice("everywhere", text, "add videos without it, or leave the label out")


def _together(material: Material) -> Iterator[Advice]:
    n = len(material.labels.by_video)
    groups: dict[frozenset[str], list[str]] = defaultdict(list)
    for label, videos in _by_class(material.labels).items():
        groups[frozenset(videos)].append(label)
    for shared, labels in groups.items():
        if len(labels) > 1 and 1 < len(shared) < n:
            text = f"{_listed(labels)} occur in the same {len(shared)} videos, so nothing tells them apart"
            yield Advice("together", text, "add videos with one of them alone, or make them one label")


def _spelling(material: Material) -> Iterator[Advice]:
    pairs = [f"'{one}' and '{other}'" for one, other, _ in alike(material.labels.classes)]
    if pairs:
        listed = _listed(pairs, quoted=False)
        text = f"{listed} {'look' if len(pairs) == 1 else 'each look'} like one label in two spellings"
        yield Advice("spelling", text, "'tal label --check' shows the lines")


def _few(material: Material) -> Iterator[Advice]:
    counts = sorted((len(videos), label) for label, videos in _by_class(material.labels).items())
    few = [f"'{label}': {n}" for n, label in counts if n < FEW_VIDEOS]
    if few and len(material.labels.by_video) > 1:
        which = f"{len(few)} of {len(counts)} classes have" if len(counts) > 1 else "the class has"
        text = f"{which} fewer than {FEW_VIDEOS} videos ({_listed(few, quoted=False)})"
        remedy = "expect weak and unsteady results; published ones rest on 10 to 20 (THUMOS14) or 50 (ActivityNet)"
        yield Advice("few videos", text, f"{remedy}, a rule of thumb")


def _imbalance(material: Material) -> Iterator[Advice]:
    counts = sorted((len(videos), label) for label, videos in _by_class(material.labels).items())
    if len(counts) > 1 and counts[-1][0] >= IMBALANCE * counts[0][0]:
        (low, rare), (high, usual) = counts[0], counts[-1]
        text = f"'{usual}' has {high} videos and '{rare}' {low}: the rare one will seldom be found"
        yield Advice("imbalance", text, f"label more videos of '{rare}', or fewer of '{usual}'")


def _no_background(material: Material) -> Iterator[Advice]:
    durations_s = [header.duration_s for header in material.headers.values()]
    if not durations_s:
        return
    middle_s = statistics.median(durations_s)
    n_snippets = statistics.median(header.grid.n_snippets for header in material.headers.values())
    if middle_s <= SHORT_S:
        text = (
            f"half of the videos last {middle_s:.1f} s or less; if they are cut to the action, they show no background"
        )
        yield Advice("no background", text, "train on videos that also show what comes before and after")
    elif n_snippets < FEW_SNIPPETS:
        text = f"half of the videos have {n_snippets:g} snippets or fewer, so times will be coarse"
        yield Advice("few snippets", text, "extract with a smaller stride, e.g. --set extract.stride=4")


def _constant(material: Material) -> Iterator[Advice]:
    streams: dict[str, list[str]] = defaultdict(list)
    for video, sketch in material.sketches.items():
        for stream in sketch.constant:
            streams[stream].append(video)
    for stream, videos in streams.items():
        text = f"the {stream} features of {_listed(videos)} are the same in all snippets"
        yield Advice("constant features", text, "look at the video: 'tal probe' tells whether it can be read")


def _twins(material: Material) -> Iterator[Advice]:
    pairs = sorted(_near(material))
    by_video = material.labels.by_video
    torn = [pair for pair in pairs if by_video.get(pair[0]) != by_video.get(pair[1])]
    if pairs:
        listed = _listed([f"'{one}' and '{other}'" for one, other in (torn or pairs)], quoted=False)
        text = f"{listed} are nearly the same video" + (" under different labels" if torn else "")
        yield Advice("twins", text, "label them alike, or leave one out" if torn else "leave one out: it counts twice")


def _near(material: Material) -> set[tuple[str, str]]:
    """Return pairs of videos of one length whose features are nearly the same, each pair sorted.

    Distances are compared with those from the mean of all videos, which features of random networks share. Videos
    are compared with their neighbours in the order of length and distance from the mean, so that the work grows with
    their number.
    """
    lengths_s = {video: material.headers[video].duration_s for video in material.sketches}
    found = set()
    for videos in _of_one_size(material.sketches):
        mean = sum(material.sketches[video].vector.astype(np.float64) for video in videos) / len(videos)
        far = {video: float(np.linalg.norm(material.sketches[video].vector - mean)) for video in videos}
        for shift in (0, 0.5):  # lengths that a bound of one order tears apart are together in the other
            order = sorted(videos, key=lambda v: (int(lengths_s[v] / TWIN_LENGTH_S + shift), far[v]))
            for one, other in pairwise(order):
                distance = np.linalg.norm(material.sketches[one].vector - material.sketches[other].vector)
                same_length = abs(lengths_s[one] - lengths_s[other]) <= TWIN_LENGTH_S
                if same_length and distance <= TWIN_DISTANCE * (far[one] + far[other]) / 2:
                    found.add((min(one, other), max(one, other)))
    return found


def _of_one_size(sketches: Mapping[str, Sketch]) -> list[list[str]]:
    groups: dict[int, list[str]] = defaultdict(list)
    for video, sketch in sketches.items():
        groups[len(sketch.vector)].append(video)
    return [videos for size, videos in sorted(groups.items()) if size]


def _unlabelled(material: Material) -> Iterator[Advice]:
    if material.unlabelled:
        listed = _listed(sorted(material.unlabelled))
        which = "1 video" if len(material.unlabelled) == 1 else f"{len(material.unlabelled)} videos"
        text = f"features of {which} without a label are not learnt from ({listed})"
        yield Advice("unlabelled", text, "fine if kept for testing")


RULES: Sequence[Callable[[Material], Iterator[Advice]]] = (
    *(_one_video, _one_class, _everywhere, _together, _spelling, _few, _imbalance),
    *(_no_background, _constant, _twins, _unlabelled),
)
"""What is looked at, the worst first."""


def _by_class(labels: Labels) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for video, names in sorted(labels.by_video.items()):
        for name in names:
            found[name].append(video)
    return dict(sorted(found.items()))


def _listed(names: Sequence[str], quoted: bool = True) -> str:
    """Return a few names, and how many more there are."""
    shown = [f"'{name}'" if quoted else name for name in names[:NAMED]]
    more = len(names) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
