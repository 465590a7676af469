"""What of a data set lies under a folder, in whatever of the usual layouts.

Features: shards, ``.npy`` and ``.npz``, one file per video or one per video and stream. The stream stands in the file's
name (``video-rgb.npz``) or in a folder's (``train/rgb/video.npy``). Files whose folders differ in stream and split
alone make one collection. Annotations are found by the names that the description gives, or as JSON with a
``database``. Links are followed; hidden files and folders are not looked at.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from tal.datasets import Dataset, Form
from tal.errors import InputError
from tal.parsing import VIDEO_SUFFIXES
from tal.shards import SUFFIX
from tal.types import STREAMS

FORMS = {SUFFIX: "shards", ".npy": ".npy files", ".npz": ".npz files"}
PEEK_BYTES = 4096
_STREAM_AT_END = re.compile(r"(?P<video>.+)[-_](?P<stream>rgb|flow)")
_SPLITS = {"train", "training", "val", "validation", "test", "testing"}


@dataclass(frozen=True)
class FeatureFile:
    """Features of one video.

    Attributes:
        path: The file.
        stream: ``rgb`` or ``flow`` where the name or folder says so; else empty.
    """

    path: Path
    stream: str


@dataclass
class Collection:
    """Features that belong together.

    Attributes:
        place: Their folder, relative to the root, without streams and splits.
        form: What kind of files they are.
        files: Video to its files.
        strangers: Names of files that are no videos of the data set.
    """

    place: str
    form: str
    files: dict[str, list[FeatureFile]] = field(default_factory=dict)
    strangers: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """What lies under a folder.

    Attributes:
        root: The folder.
        videos: Video to its files.
        strange_videos: Video files that are none of the data set's.
        collections: Features, by place.
        annotations: Files and THUMOS14 folders, with what the description says about them.
    """

    root: Path
    videos: Mapping[str, list[Path]]
    strange_videos: tuple[Path, ...]
    collections: tuple[Collection, ...]
    annotations: Mapping[Path, Form]

    def relative(self, path: Path) -> str:
        """Return where a path lies under the root."""
        return path.relative_to(self.root).as_posix() if path != self.root else path.name


def find(root: Path, about: Dataset) -> Found:
    """Look for videos, features and annotations of a data set; a file is taken for annotations.

    Raises:
        InputError: If there is nothing at `root`.
    """
    if root.is_file():
        return Found(root, {}, (), (), {root: _form(root, about) or Form(pattern=root.name, form="annotations")})
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name the one that holds your copy of {about.title}")
    files = list(_walk(root))
    videos: dict[str, list[Path]] = defaultdict(list)
    strange = []
    for path in (path for path in files if path.suffix.lower() in VIDEO_SUFFIXES):
        name = about.video(path.stem)
        videos[name].append(path) if name else strange.append(path)
    return Found(root, dict(videos), tuple(strange), _collections(files, root, about), _annotations(files, about))


def _walk(root: Path) -> Iterator[Path]:
    """Yield all files in order of their paths, each folder once."""
    seen: set[str] = set()
    for folder, inside, files in os.walk(root, followlinks=True):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        real = os.path.realpath(folder)
        if real in seen:
            inside.clear()
            continue
        seen.add(real)
        yield from (Path(folder) / name for name in sorted(files) if not name.startswith("."))


def _collections(files: list[Path], root: Path, about: Dataset) -> tuple[Collection, ...]:
    found: dict[tuple[str, str], Collection] = {}
    for path in files:
        if path.suffix not in FORMS:
            continue
        parts = path.relative_to(root).parts[:-1]
        form, place = FORMS[path.suffix], "/".join(filter(None, map(_without_split, parts))) or "."
        one = found.setdefault((place, form), Collection(place, form))
        name, stream = _named(path.stem, about)
        if name:
            one.files.setdefault(name, []).append(FeatureFile(path, stream or _stream_of(parts)))
        else:
            one.strangers.append(path)
    return tuple(found[key] for key in sorted(found))


def _tokens(part: str) -> list[str]:
    return re.split(r"[-_. ]+", part)


def _without_split(part: str) -> str:
    """Return a folder's name without what tells stream and split."""
    told = _SPLITS | set(STREAMS)
    tokens = _tokens(part)
    kept = [token for token in tokens if token.lower() not in told]
    return part if len(kept) == len(tokens) else "-".join(kept)


def _stream_of(parts: tuple[str, ...]) -> str:
    told = [token.lower() for part in reversed(parts) for token in _tokens(part) if token.lower() in STREAMS]
    return told[0] if told else ""


def _named(stem: str, about: Dataset) -> tuple[str, str]:
    """Return the video that a file is named after, and the stream that its name tells."""
    if match := _STREAM_AT_END.fullmatch(stem):
        return about.video(match["video"]), match["stream"]
    return about.video(stem), ""


def _annotations(files: list[Path], about: Dataset) -> dict[Path, Form]:
    found: dict[Path, Form] = {}
    for path in files:
        form = _form(path, about)
        if path.suffix.lower() == ".json":
            form = (form or Form(pattern=path.name, form="ActivityNet JSON")) if _has_database(path) else None
        if form:
            found.setdefault(path.parent if path.suffix == ".txt" else path, form)
    return found


def _form(path: Path, about: Dataset) -> Form | None:
    name = path.name.lower()
    return next((form for form in about.files if fnmatchcase(name, form.pattern.lower())), None)


def _has_database(path: Path) -> bool:
    with path.open("rb") as file:
        return b'"database"' in file.read(PEEK_BYTES)
