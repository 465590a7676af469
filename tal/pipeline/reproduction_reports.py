"""What came out of a reproduction, beside what was published; the rule by which the two are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

from tal.datasets.published import Published

Word = Literal["within", "above", "below", "unclear"]
TIOU = 0.5
"""Where rows are judged: the one threshold that every row has."""
RULE = (
    "rule: mAP at tIoU 0.5, the mean over seeds of the mean over the last states of a run, counted by the row's own "
    "protocol on its own videos; within: no further from the published number than one standard deviation over our "
    "seeds, or the published one if that is larger; unclear: one seed and no published deviation"
)


@dataclass(frozen=True)
class Verdict:
    """How a number of ours stands to a published one.

    Attributes:
        word: ``within`` one standard deviation, ``above``, ``below``; ``unclear`` without a deviation.
        difference: Ours less the published one, percentage points.
        margin: The standard deviation that was allowed for, points; None where none is known.
    """

    word: Word
    difference: float
    margin: float | None


def judge(ours: Sequence[float], published: float, deviation: float | None = None) -> Verdict:
    """Compare the mAP of several seeds with a published one, all in %, by `RULE`.

    Args:
        ours: One number per seed.
        published: The published number.
        deviation: Its standard deviation, where it is known.
    """
    difference = fmean(ours) - published
    spreads = [spread for spread in (stdev(ours) if len(ours) > 1 else None, deviation) if spread is not None]
    if not spreads:
        return Verdict("unclear", difference, None)
    margin = max(spreads)
    if abs(difference) <= margin:
        return Verdict("within", difference, margin)
    return Verdict("above" if difference > 0 else "below", difference, margin)


@dataclass(frozen=True)
class Counted:
    """Our detections, counted one way.

    Attributes:
        protocol: How.
        videos: On which set of videos; ``test videos`` where they make no named set.
        n_videos: How many these are.
        n_instances: Their instances.
        n_missing: Those of the videos that have instances and no features; these count as missed.
        tiou: Thresholds, (N,).
        map: mAP of each seed at each threshold, the mean over the last states, %, (seeds, N).
    """

    protocol: str
    videos: str
    n_videos: int
    n_instances: int
    n_missing: int
    tiou: tuple[float, ...]
    map: tuple[tuple[float, ...], ...]

    def at(self, tiou: float) -> tuple[float, ...]:
        """Return the mAP of each seed at a threshold, %."""
        place = self.tiou.index(tiou)
        return tuple(one[place] for one in self.map)

    def average(self, tiou: Sequence[float]) -> tuple[float, ...]:
        """Return the mean over thresholds of each seed, %."""
        return tuple(fmean(values) for values in zip(*(self.at(one) for one in tiou), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {**vars(self), "tiou": list(self.tiou), "map": [list(one) for one in self.map]}


@dataclass(frozen=True)
class Compared:
    """A published row beside ours.

    Attributes:
        row: The row.
        ours: Our detections, counted as the row was, as far as that is known and possible.
        differs: What else is not the same, each in a few words: why a difference need not be the method's.
        verdict: How the two stand.
    """

    row: Published
    ours: Counted
    differs: tuple[str, ...]
    verdict: Verdict

    @property
    def words(self) -> str:
        """The verdict in words."""
        found = self.verdict
        margin = "" if found.margin is None else f" (standard deviation {found.margin:.2f})"
        stands = {
            "within": f"within one standard deviation of it{margin}",
            "above": f"above it by {found.difference:.2f}{margin}",
            "below": f"below it by {-found.difference:.2f}{margin}",
            "unclear": f"{found.difference:+.2f} from it, with no standard deviation to judge that by",
        }[found.word]
        published = f"{self.row.title} ({self.row.who}) {self.row.at(TIOU):.2f}"
        return f"{published}: ours {fmean(self.ours.at(TIOU)):.2f} is {stands}" + "".join(
            f"; {one}" for one in self.differs
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        counted = {"protocol": self.ours.protocol, "videos": self.ours.videos}
        judged = {**vars(self.verdict), "words": self.words}
        return {
            **self.row.model_dump(mode="json"),
            "counted": counted,
            "differs": list(self.differs),
            "verdict": judged,
        }


@dataclass(frozen=True)
class Reproduction:
    """What came out.

    Attributes:
        dataset: Name of the description.
        title: The data set's name in papers.
        method: The method.
        schedule: Whose settings were used.
        n_updates: Updates of each network.
        seeds: Seeds of the trainings.
        n_states: Last states of each run that are averaged.
        features: What was trained on, in words.
        n_trained: Training videos.
        missing: Test videos without features; what happens in them counts as missed.
        tiou: Thresholds of the data set.
        counted: Each way of counting, once.
        rows: Published rows in the order of the file.
    """

    dataset: str
    title: str
    method: str
    schedule: str
    n_updates: int
    seeds: tuple[int, ...]
    n_states: int
    features: str
    n_trained: int
    missing: tuple[str, ...]
    tiou: tuple[float, ...]
    counted: tuple[Counted, ...]
    rows: tuple[Compared, ...]

    @property
    def nearest(self) -> Compared | None:
        """The row that says most: public code before papers, of these the one that differs in least, i.e. the first."""
        own = [one for one in self.rows if one.row.method == self.method]
        rank = {"authors' code": 0, "public code": 0, "paper": 1}
        return min(own, key=lambda one: (rank[one.row.who], len(one.differs)), default=None)

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        best = self.nearest
        if best is None:
            others = "; the rows are of other methods" if self.rows else ""
            return f"nothing was published of {self.method} on {self.title}{others}"
        return best.words

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; mAP in %."""
        nested = {
            "counted": [one.to_dict() for one in self.counted],
            "rows": [one.to_dict() for one in self.rows],
            "verdict": self.verdict,
            "rule": RULE,
        }
        lists = {name: list(getattr(self, name)) for name in ("seeds", "missing", "tiou")}
        return {**vars(self), **lists, **nested}


def spread(values: Sequence[float]) -> str:
    """Return mean and deviation in words: ``28.10 ± 0.55``; the mean alone for one value."""
    return f"{fmean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")
