"""Data sets of the field as shipped: what a whole copy holds, how it is judged, what is known to be odd about it.

``configs/data/<name>.yaml`` describes one data set; a new one is one more file there. It describes the data itself;
``configs/datasets/`` holds what methods do differently on it. ``configs/published/<name>.yaml`` holds what was
published about it, see `tal.datasets.published`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal

from pydantic import Field, field_validator, model_validator

from tal import config
from tal.errors import ConfigError, suggest
from tal.files import shipped
from tal.settings import Section
from tal.settings.base import Rate
from tal.settings.evaluation import TIoUs

TRAIN, TEST = "train", "test"
NATIVE = "native"


class Split(Section):
    """Videos that one learns from, or that one is judged on.

    Attributes:
        subsets: How annotation files call it, in lower case.
        n_videos: Videos with annotations.
        n_instances: Instances in them; None where that is not known.
        template: A video's name from its number.
        durations_s: Number of the video to its length in seconds; empty where the annotations tell which there are.
        fps: Rates of pictures, to the numbers of the videos that have them instead of the usual one.
    """

    subsets: tuple[str, ...] = Field(min_length=1)
    n_videos: int = Field(ge=1)
    n_instances: int | None = Field(None, ge=1)
    template: str = ""
    durations_s: dict[int, float] = Field(default_factory=dict)
    fps: dict[Rate, tuple[int, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Split:
        if self.durations_s and len(self.durations_s) != self.n_videos:
            raise ValueError(f"{len(self.durations_s)} durations of {self.n_videos} videos")
        if self.durations_s and not self.template:
            raise ValueError("numbers of videos need a template")
        return self

    @property
    def durations(self) -> dict[str, float]:
        """Name of each video to its length in seconds; empty where the names are not known."""
        return {self.template.format(number): seconds for number, seconds in self.durations_s.items()}

    @property
    def rates(self) -> dict[str, Fraction]:
        """Names of the videos with another rate than the usual one."""
        return {self.template.format(number): rate for rate, numbers in self.fps.items() for number in numbers}


class VideoSet(Section):
    """A set of videos that papers evaluate on.

    Attributes:
        split: Which split it is a part of.
        without: Videos of the split that are left out.
        n_videos: How many there are.
        n_instances: How many instances they have.
    """

    split: str
    without: tuple[str, ...] = ()
    n_videos: int = Field(ge=1)
    n_instances: int | None = Field(None, ge=1)


class Form(Section):
    """Where annotations usually lie, and in what form.

    Attributes:
        pattern: Shape of the file's name; one of ``.txt`` stands for the folder that holds it.
        form: What it is, in words.
        subset: The split that it is of, where the file does not say.
    """

    pattern: str = Field(min_length=1)
    form: str
    subset: str = ""


class FeatureGrid(Section):
    """How public features lie in time.

    Attributes:
        name: Whose they are.
        fps: Frames per second; ``native`` for each video's own.
        stride: Frames between snippets.
        length: Frames of a snippet.
    """

    name: str = Field(min_length=1)
    fps: Literal["native"] | Rate
    stride: int = Field(ge=1)
    length: int = Field(16, ge=1)

    @property
    def rate(self) -> str:
        """In words: ``25 fps, stride 16``."""
        fps = "the videos' own fps" if isinstance(self.fps, str) else f"{float(self.fps):g} fps"
        return f"{fps}, stride {self.stride}"


class Dataset(Section):
    """What a whole copy of a data set holds.

    Attributes:
        title: Its name in papers.
        protocol: How most papers count.
        tiou: At which thresholds.
        name: Shape of a video's name in the annotations, a regular expression.
        prefix: What stands before the name in many copies' files and not in the annotations.
        classes: Their names, sorted; empty where they are not listed.
        n_classes: How many there are.
        fps: Rate of most videos; None where they differ.
        splits: ``train`` and ``test``.
        sets: Name of a set of test videos to what it holds.
        doubles: Class whose every instance is annotated as another class, too.
        beyond_end: Videos with instances behind their end.
        gone: Splits with videos that can no longer be had, to how many could be at some time.
        files: Where annotations lie.
        grids: How public features lie in time.
    """

    title: str = Field(min_length=1)
    protocol: str
    tiou: TIoUs
    name: str
    prefix: str = ""
    classes: tuple[str, ...] = ()
    n_classes: int = Field(ge=1)
    fps: Rate | None = None
    splits: dict[str, Split]
    sets: dict[str, VideoSet] = Field(min_length=1)
    doubles: dict[str, str] = Field(default_factory=dict)
    beyond_end: tuple[str, ...] = ()
    gone: dict[str, int] | None = None
    files: tuple[Form, ...] = Field(min_length=1)
    grids: tuple[FeatureGrid, ...] = Field(min_length=1)

    @field_validator("splits")
    @classmethod
    def _both(cls, splits: dict[str, Split]) -> dict[str, Split]:
        if set(splits) != {TRAIN, TEST}:
            raise ValueError(f"expected '{TRAIN}' and '{TEST}', found {', '.join(splits) or 'nothing'}")
        return {name: splits[name] for name in (TRAIN, TEST)}

    @model_validator(mode="after")
    def _counts(self) -> Dataset:
        if self.classes and len(self.classes) != self.n_classes:
            raise ValueError(f"{len(self.classes)} classes are listed, n_classes is {self.n_classes}")
        for name, one in self.sets.items():
            whole = self.splits[one.split].n_videos if one.split in self.splits else -1
            if one.n_videos != whole - len(one.without):
                raise ValueError(f"set '{name}': {one.n_videos} videos, the split has {whole} less {len(one.without)}")
        return self

    def split_of(self, subset: str) -> str:
        """Return which split an annotation file means; empty if none."""
        return next((name for name, one in self.splits.items() if subset.lower() in one.subsets), "")

    def video(self, stem: str) -> str:
        """Return a video's name as the annotations have it, from a file's; empty if it is none of the data set's."""
        names = (stem.removeprefix(self.prefix), stem)
        return next((name for name in names if re.fullmatch(self.name, name)), "")

    @property
    def durations(self) -> dict[str, float]:
        """Name of every video to its length in seconds, as far as the description knows."""
        return {name: seconds for split in self.splits.values() for name, seconds in split.durations.items()}

    @property
    def other_rates(self) -> dict[str, Fraction]:
        """Name of each video that has another rate than most to that rate, frames per second."""
        return {name: rate for split in self.splits.values() for name, rate in split.rates.items()}

    def rate_of(self, video: str) -> Fraction | None:
        """Return a video's own rate of pictures, where it is known."""
        return self.other_rates.get(video, self.fps)


def available() -> list[str]:
    """Return the names of the data sets that are described."""
    return sorted(path.stem for path in (shipped("configs") / "data").glob("*.yaml"))


def load(name: str) -> Dataset:
    """Return the description of a data set.

    Raises:
        ConfigError: If there is none, or the file is not as described above.
    """
    if name not in available():
        raise ConfigError(f"no description of a data set '{name}'{suggest(name, available())}")
    path = shipped("configs") / "data" / f"{name}.yaml"
    return config.check(Dataset, config.read_yaml(path), where=str(path))
