"""What was detected in a set of videos, as a value that can be walked through, narrowed down, shown and saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from tal.errors import BackendError, ConfigError, suggest
from tal.parsing import video_name
from tal.types import Detection

MAX_LINES = 60
MAX_PICTURES = 20
_HEAD = ("video", "label", "start s", "end s", "score")
Found = tuple[Detection, ...]


class UnknownVideo(ConfigError, KeyError):
    """A video that the results do not name."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Results:
    """What was detected in a set of videos.

    ``results["v"]`` is one video's detections, iteration yields ``(video, detection)``, ``len`` counts detections.
    What narrows results down keeps every video, adds a note to the provenance, and leaves the results it is called on
    as they are.

    Attributes:
        by_video: Video name to its detections; empty for a video in which nothing was found.
        provenance: How the detections were made, as JSON-ready values.
    """

    by_video: Mapping[str, Found]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.by_video.values()))

    def __iter__(self) -> Iterator[tuple[str, Detection]]:
        for video, found in self.by_video.items():
            for detection in found:
                yield video, detection

    def __getitem__(self, video: str) -> Found:
        """Return one video's detections; a suffix such as ``.mp4`` may stand after its name.

        Raises:
            UnknownVideo: If it is not named here; suggests the nearest. It is a ``KeyError`` as well.
        """
        for name in (video, video_name(video)):
            if name in self.by_video:
                return self.by_video[name]
        raise UnknownVideo(f"no video '{video}' in these results{suggest(video, islice(self.by_video, 10_000))}")

    @property
    def videos(self) -> tuple[str, ...]:
        """Names of all videos, those without detections too."""
        return tuple(self.by_video)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that were detected, sorted."""
        return tuple(sorted({detection.label for _, detection in self}))

    def top(self, n: int) -> Results:
        """Keep the `n` best detections of each video, best first; of equal scores the earlier.

        Raises:
            ValueError: If `n` is negative.
        """
        if n < 0:
            raise ValueError(f"{n} is no number of detections")
        return self._narrowed({"top": n}, lambda found: nlargest(n, found, key=lambda one: one.score))

    def above(self, score: float) -> Results:
        """Keep the detections that score at least so much."""
        return self._narrowed({"above": score}, lambda found: (one for one in found if one.score >= score))

    def only(self, labels: str | Iterable[str]) -> Results:
        """Keep the detections of some classes; labels that were never detected keep nothing."""
        wanted = {labels} if isinstance(labels, str) else set(labels)
        return self._narrowed({"only": sorted(wanted)}, lambda found: (one for one in found if one.label in wanted))

    def _narrowed(self, how: Mapping[str, Any], choose: Callable[[Found], Iterable[Detection]]) -> Results:
        notes = {"narrowed": [*self.provenance.get("narrowed", ()), dict(how)]}
        return Results({v: tuple(choose(found)) for v, found in self.by_video.items()}, {**self.provenance, **notes})

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dict per detection: ``video``, ``label``, ``start_s``, ``end_s``, ``score``."""
        return [
            {"video": video, "label": d.label, "start_s": d.segment.start_s, "end_s": d.segment.end_s, "score": d.score}
            for video, d in self
        ]

    def to_pandas(self) -> Any:
        """Return `records` as a ``pandas.DataFrame``.

        Raises:
            BackendError: If pandas is not installed; nothing else here needs it.
        """
        try:
            pandas = import_module("pandas")
        except ModuleNotFoundError as error:
            raise BackendError("to_pandas needs pandas, which is not installed; use .records()") from error
        return pandas.DataFrame(self.records(), columns=["video", "label", "start_s", "end_s", "score"])

    def save(self, path: str | Path) -> None:
        """Write a detections file, whole or not at all, segments in whole milliseconds.

        Raises:
            StorageError: If the disk is full, read-only or gone.
        """
        from tal.results import files

        files.write_results(path, self)

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Read a detections file: ActivityNet-style JSON or THUMOS14 text.

        Raises:
            AnnotationError: For the first thing that is wrong; names file, place and remedy.
        """
        from tal.results import files

        return files.read_results(path)

    def __repr__(self) -> str:
        return f"<Results: {_counted(len(self), 'detection')} in {_counted(len(self.by_video), 'video')}>"

    def __str__(self) -> str:
        """Return a table of at most 60 lines, times in seconds; a last line says what it leaves out."""
        from tal.display import texts

        rows = list(islice(self._rows(), MAX_LINES + 1))
        shown = texts.columns(_HEAD, rows[:MAX_LINES], n_texts=2)
        if len(rows) <= MAX_LINES:
            return shown
        return f"{shown}\n... {_counted(len(self), 'detection')} in all; .top(n) and .above(score) show fewer"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for video, found in self.by_video.items():
            if not found:
                yield video, f"({self._reason(video)})"
            for one in found:
                start, end = (f"{seconds:.2f}" for seconds in (one.segment.start_s, one.segment.end_s))
                yield video, one.label, start, end, f"{one.score:.3f}"

    def _reason(self, video: str) -> str:
        empty = self.provenance.get("empty")
        return str(empty.get(video, "nothing found")) if isinstance(empty, Mapping) else "nothing found"

    def _repr_html_(self) -> str:
        """Return the timelines of the first 20 videos, for notebooks."""
        from tal import display

        first = islice(self.by_video.items(), MAX_PICTURES)
        pieces = [display.timeline(display.Detected(video, found, self._reason(video))) for video, found in first]
        more = len(self.by_video) - len(pieces)
        return display.stacked(pieces, repr(self)[1:-1], f"and {_counted(more, 'more video')}" if more else "")


def _counted(n: int, thing: str) -> str:
    return f"{n} {thing}{'s' * (n != 1)}"
