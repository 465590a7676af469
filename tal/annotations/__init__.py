"""Labels and ground truth, from CSV, ActivityNet-style JSON and THUMOS14 text.

Formats:
    CSV: A header and one row per label or instance: ``video,label`` for labels; ``start`` and ``end`` (seconds) too
        for ground truth; ``subset`` and ``duration`` if known. ``type`` may stand for ``label``; other columns are
        not read.
    JSON: ``{"database": {VIDEO: {"subset", "duration", "annotations": [{"label", "segment": [start, end]}]}}}``; times
        may be numbers or texts of numbers.
    THUMOS14: A folder with ``CLASS_val.txt`` or ``CLASS_test.txt`` per class, in itself or one level below; lines
        ``VIDEO START END``. The subset is ``val`` or ``test``.

The label ``Ambiguous`` marks time that counts neither for nor against a detection (THUMOS14) and is never a class.
Video names lose a video suffix such as ``.mp4``. A segment may have no length or end after the video; it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tal.annotations.formats import Draft, read_drafts
from tal.errors import ConfigError, suggest
from tal.parsing import Place
from tal.types import Segment

AMBIGUOUS = "Ambiguous"
_TRAINING = ("train", "training")


@dataclass(frozen=True)
class Labels:
    """Video-level labels: which actions occur, not when.

    Attributes:
        by_video: Video name to its labels, both sorted.
    """

    by_video: Mapping[str, tuple[str, ...]]

    @property
    def classes(self) -> tuple[str, ...]:
        """All labels, sorted."""
        return tuple(sorted({label for labels in self.by_video.values() for label in labels}))


@dataclass(frozen=True, slots=True)
class Instance:
    """An action that truly occurs."""

    label: str
    segment: Segment


@dataclass(frozen=True)
class VideoTruth:
    """The ground truth of one video.

    Attributes:
        duration_s: Length of the video in seconds, where the file tells.
        subset: Name of the split; empty where the file names none.
        instances: In the order of the file.
        ambiguous: Segments that count neither for nor against a detection.
    """

    duration_s: float | None
    subset: str
    instances: tuple[Instance, ...]
    ambiguous: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Truth:
    """The ground truth of a data set, by video name."""

    videos: Mapping[str, VideoTruth]

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels with at least one instance, sorted."""
        return tuple(sorted({i.label for video in self.videos.values() for i in video.instances}))

    @property
    def subsets(self) -> tuple[str, ...]:
        """Names of the splits, sorted."""
        return tuple(sorted({video.subset for video in self.videos.values()}))

    def select(self, subset: str) -> Truth:
        """Return the videos of one subset.

        Raises:
            ConfigError: If there is no such subset; suggests the nearest.
        """
        if subset not in self.subsets:
            raise ConfigError(f"unknown subset '{subset}'{suggest(subset, self.subsets)}")
        return Truth({name: video for name, video in self.videos.items() if video.subset == subset})


def read_labels(path: str | Path, subset: str = "") -> Labels:
    """Read which actions occur in which video; videos without a label are left out.

    Args:
        path: CSV, ActivityNet-style JSON or a THUMOS14 folder.
        subset: Which split; empty for the only one, or the one named train or training.

    Raises:
        AnnotationError: If the file is not as described above, or has several subsets and `subset` names none.
        ConfigError: If there is no such subset.
    """
    drafts = read_drafts(Path(path), timed=False)
    chosen = _training_subset(Path(path), sorted({draft.subset for draft in drafts.values()}), subset)
    found = {
        name: tuple(sorted({label for label, _ in draft.annotations} - {AMBIGUOUS}))
        for name, draft in sorted(drafts.items())
        if draft.subset == chosen
    }
    by_video = {name: labels for name, labels in found.items() if labels}
    if not by_video:
        raise Place(Path(path)).error(f"no labels{f' in subset {chosen!r}' if chosen else ''}", "add one per video")
    return Labels(by_video)


def read_truth(path: str | Path) -> Truth:
    """Read which actions occur in which video, and when.

    Args:
        path: ActivityNet-style JSON, a THUMOS14 folder, or CSV.

    Raises:
        AnnotationError: If the file is not as described above.
    """
    return Truth({name: _video_truth(draft) for name, draft in read_drafts(Path(path), timed=True).items()})


def _video_truth(draft: Draft) -> VideoTruth:
    timed = [(label, segment) for label, segment in draft.annotations if segment is not None]
    instances = tuple(Instance(label, segment) for label, segment in timed if label != AMBIGUOUS)
    ambiguous = tuple(segment for label, segment in timed if label == AMBIGUOUS)
    return VideoTruth(draft.duration_s, draft.subset, instances, ambiguous)


def _training_subset(path: Path, known: Sequence[str], wanted: str) -> str:
    if wanted and wanted not in known:
        raise ConfigError(f"unknown subset '{wanted}' of {path}{suggest(wanted, filter(None, known))}")
    candidates = [wanted] if wanted else [name for name in known if name.lower() in _TRAINING]
    if len(known) == 1:
        candidates = list(known)
    if len(candidates) != 1:
        listed = ", ".join(name or "(none)" for name in known)
        raise Place(path).error(f"several subsets ({listed})", "choose one with --subset")
    return candidates[0]
