"""What was published of a data set: numbers with how they were counted, on which videos, with which features.

``configs/published/<data set>.yaml``. A number alone says little in this field: the same detections get up to 16 points
more or less from another protocol, and features and test videos differ as well.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tal import config
from tal.errors import ConfigError, suggest
from tal.files import shipped
from tal.settings import Section
from tal.settings.base import Rate
from tal.settings.evaluation import TIoUs, tiou_range

OTHERS = "others"
Percent = float


class PublishedFeatures(Section):
    """What a number was made with.

    Attributes:
        network: ``i3d``, ``untrimmednet`` or ``tsn``.
        fps: Frames per second, ``native`` for the videos' own; None where the source does not say.
        stride: Frames between snippets; None where the source does not say.
        note: What else differs from the usual.
    """

    network: str
    fps: Literal["native"] | Rate | None = None
    stride: int | None = Field(None, ge=1)
    note: str = ""

    @property
    def words(self) -> str:
        """In words: ``i3d, 10 fps, stride 16``."""
        told = "own fps" if isinstance(self.fps, str) else f"{float(self.fps):g} fps" if self.fps else ""
        return ", ".join(filter(None, [self.network, told, f"stride {self.stride}" if self.stride else ""]))


class Published(Section):
    """One published row.

    Attributes:
        method: One of ours, or ``others``.
        title: What the row is called.
        who: Whose number it is.
        source: Where it is printed.
        protocol: How was counted; empty where the source does not say.
        videos: Named set of videos; empty where the source does not say.
        features: What it was made with.
        tiou: Thresholds, (N,).
        map: mAP at each, %, (N,).
        averages: Means over thresholds that are printed, %, such as ``0.1:0.5:0.1``.
        deviation: Standard deviation of the mAP at 0.5, %, where it is known.
        chosen: Which state of the network was judged; empty where the source does not say.
    """

    method: str = Field(min_length=1)
    title: str = Field(min_length=1)
    who: Literal["paper", "authors' code", "public code"]
    source: str = Field(min_length=1)
    protocol: str = ""
    videos: str = ""
    features: PublishedFeatures
    tiou: TIoUs
    map: tuple[Percent, ...] = Field(min_length=1)
    averages: dict[str, Percent] = Field(default_factory=dict)
    deviation: Percent | None = Field(None, gt=0)
    chosen: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Published:
        if len(self.map) != len(self.tiou):
            raise ValueError(f"'{self.title}': {len(self.map)} numbers at {len(self.tiou)} thresholds")
        if any(not 0 <= value <= 100 for value in (*self.map, *self.averages.values())):
            raise ValueError(f"'{self.title}': mAP lies between 0 and 100 %")
        for text in self.averages:
            tiou_range(text)
        return self

    def at(self, tiou: float) -> Percent | None:
        """Return the mAP at a threshold, %; None where it is not printed."""
        return dict(zip(self.tiou, self.map, strict=True)).get(tiou)

    def average(self, tiou: tuple[float, ...]) -> Percent | None:
        """Return the mean over thresholds, %: as printed, or of what is printed; None where neither can be had."""
        printed = {tiou_range(text): value for text, value in self.averages.items()}
        values = [self.at(one) for one in tiou]
        known = [value for value in values if value is not None]
        return printed.get(tiou) or (sum(known) / len(known) if len(known) == len(values) else None)


class _File(Section):
    rows: tuple[Published, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _titles_differ(self) -> _File:
        titles = [row.title for row in self.rows]
        twice = next((title for title in titles if titles.count(title) > 1), "")
        if twice:
            raise ValueError(f"two rows are called '{twice}'")
        return self


def available() -> list[str]:
    """Return the names of the data sets with published numbers."""
    return sorted(path.stem for path in (shipped("configs") / "published").glob("*.yaml"))


def read(dataset: str, method: str = "") -> tuple[Published, ...]:
    """Return what was published of a data set, or of one method on it.

    Of a method without rows of its own, such as ``best``, those of other methods are returned.

    Raises:
        ConfigError: If nothing was, or the file is not as described above.
    """
    if dataset not in available():
        raise ConfigError(f"no published numbers of a data set '{dataset}'{suggest(dataset, available())}")
    path = shipped("configs") / "published" / f"{dataset}.yaml"
    rows = config.check(_File, config.read_yaml(path), where=str(path)).rows
    own = tuple(row for row in rows if row.method == method)
    return rows if not method else own or tuple(row for row in rows if row.method == OTHERS)
