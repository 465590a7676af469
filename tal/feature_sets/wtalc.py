"""W-TALC's joint file (Paul et al., ECCV 2018), which 3C-Net, CO2-Net, RSKP and others reuse.

``Thumos14reduced-I3D-JOINTFeatures.npy`` is one array of objects, one (T, 2048) per video, RGB first; the array
``videoname.npy`` in the folder of annotations says which video is which. Snippets are 16 frames at 25 frames per
second; the annotations' ``extracted_fps.npy`` says 10, which the numbers of snippets contradict, so that it is not
used. Each video's array stays in the file until its turn, whatever the size of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tal import npy
from tal.errors import InputError
from tal.feature_sets._base import Content, ImportOptions, Item, Layout, side_by_side
from tal.feature_sets._writing import Add, beside, fresh, save
from tal.npy import Stored
from tal.parsing import video_name
from tal.types import STREAMS, Features

LAYOUT = Layout("one .npy of (T, 2048) arrays, RGB first; DATASET-Annotations/videoname.npy beside it names them")
FEATURES, ANNOTATIONS = "Features-I3D-JOINTFeatures.npy", "Features-Annotations"
_SUFFIX = "-Annotations"


def find(source: Path, asked: ImportOptions) -> Iterator[Item]:
    """Yield the videos of a joint file.

    Raises:
        InputError: If the file or its names cannot be read, or are not as many.
    """
    folder = _annotations(source, asked)
    names, joint = _texts(folder / "videoname.npy"), npy.read(source)
    n_videos = joint.shape[0] if joint.shape else 0
    if len(names) != n_videos:
        raise InputError(
            f"{source}: {n_videos} arrays, but {len(names)} names in {folder / 'videoname.npy'}; are they of one copy?"
        )
    durations = _durations(folder / "duration.npy", len(names))
    files = (source, *(path for path in [folder / "duration.npy"] if path.exists()))
    for row, name in enumerate(names):
        yield Item(name, files, _reader(source, joint, row, durations[row], asked), f"array {row}")


def labels(source: Path, asked: ImportOptions) -> Iterator[tuple[str, str, str]]:
    """Yield (video, label, subset) of ``labels_all.npy``.

    Raises:
        InputError: If the annotations cannot be read.
    """
    folder = _annotations(source, asked)
    names, subsets = _texts(folder / "videoname.npy"), _texts(folder / "subset.npy")
    stored = npy.read(folder / "labels_all.npy")
    if not stored.is_object or not len(stored.items) == len(names) == len(subsets):
        raise InputError(
            f"{folder}: videoname, subset and labels_all are not as many; take all from one copy of the set"
        )
    for name, subset, told in zip(names, subsets, stored.items, strict=True):
        found = [npy.text(label) for label in told] if isinstance(told, list | tuple) else [npy.text(told)]
        for label in sorted({label for label in found if label}):
            yield name, label, subset


def _annotations(source: Path, asked: ImportOptions) -> Path:
    if asked.annotations is not None:
        return asked.annotations
    if not source.is_file():
        raise InputError(f"{source}: not a file; give the joint .npy file")
    there = [path.parent for path in sorted(source.parent.glob(f"*{_SUFFIX}/videoname.npy"))]
    fitting = [path for path in there if source.name.startswith(path.name.removesuffix(_SUFFIX))]
    if len(fitting or there) != 1:
        raise InputError(f"{source}: no one folder of annotations beside it; name it with --annotations DIR")
    return (fitting or there)[0]


def _texts(path: Path) -> list[str]:
    """Return an array of texts as names without a video's suffix."""
    stored = npy.read(path)
    values = stored.items if stored.is_object else npy.numbers(path).ravel().tolist()
    found = [npy.text(value) for value in values]
    if None in found:
        raise InputError(f"{path}: not an array of texts; it must name the videos")
    return [video_name(str(text)) for text in found]


def _durations(path: Path, n_videos: int) -> list[float | None]:
    if not path.exists():
        return [None] * n_videos
    values = npy.numbers(path).ravel()
    if values.dtype.kind not in "fiu" or len(values) != n_videos:
        raise InputError(f"{path}: not one duration per video; take all files from one copy of the set")
    return [float(value) if np.isfinite(value) and value > 0 else None for value in values]


def _reader(
    source: Path, joint: Stored, row: int, duration_s: float | None, asked: ImportOptions
) -> Callable[[], Content]:
    def read() -> Content:
        where = f"{source}, array {row}"
        one = joint.items[row] if joint.is_object else joint
        if not isinstance(one, Stored):
            raise InputError(f"{where}: not an array; get the file again")
        try:
            rows = one.load() if joint.is_object else one.load()[row]
        except npy.Damaged as error:
            raise InputError(f"{where}: {error}") from error
        return Content(side_by_side(rows, asked.streams or STREAMS, where), duration_s=duration_s)

    return read


@contextmanager
def exporting(out: Path, force: bool) -> Iterator[Add]:
    """Lend what appends a video to the joint file; names, durations and rates are written at the end."""
    told: list[tuple[str, float, float]] = []
    for name in ("videoname", "duration", "extracted_fps"):
        fresh(out / ANNOTATIONS / f"{name}.npy", force)
    with npy.joint(fresh(out / FEATURES, force)) as append:

        def add(name: str, features: Features) -> None:
            append(beside(features, both=True))
            told.append((name, features.duration_s, float(features.grid.fps)))

        yield add
    save(out / ANNOTATIONS / "videoname.npy", np.array([name.encode() for name, _, _ in told]), force)
    save(out / ANNOTATIONS / "duration.npy", np.array([[duration_s] for _, duration_s, _ in told]), force)
    save(out / ANNOTATIONS / "extracted_fps.npy", np.array([fps for _, _, fps in told]), force)
