"""Detections -> the files of other programs; annotations of other programs -> ground truth."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from extract.reports import Survey
from extract.video import find_videos, survey, video_name
from tal import exports
from tal.errors import ConfigError, InputError
from tal.exports import ExportOptions, Media, Video
from tal.files import atomic_path, write_atomic
from tal.progress import Progress, Silent
from tal.results import Results, read_results
from tal.types import Detection

FIRST_FRAMES = 100
"""Frames of a video that are looked at to tell whether its rate is constant."""
UNEVEN = "its rate is not constant, frame numbers are approximate"


@dataclass(frozen=True)
class DetectionExport:
    """What an export did.

    Attributes:
        to: The format.
        files: What was written or is there already, in order.
        made: How many of them are new.
        n_videos: Videos that are in them.
        n_detections: Detections that are in them.
        n_left_out: Detections that were not asked for.
        notes: Video name to what a user should know of it.
        failures: Video name to the one-line reason of its failure.
    """

    to: str
    files: tuple[Path, ...]
    made: int
    n_videos: int
    n_detections: int
    n_left_out: int
    notes: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        counts = {name: getattr(self, name) for name in ("made", "n_videos", "n_detections", "n_left_out")}
        lists = {"notes": dict(self.notes), "failures": dict(self.failures)}
        return {"format": self.to, "files": [str(path) for path in self.files], **counts, **lists}


def export_detections(
    detections: Path | str | Results,
    to: str,
    out: Path | TextIO,
    options: ExportOptions | None = None,
    *,
    videos: Sequence[Path] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> DetectionExport:
    """Write detections in a format of `tal.exports`, one video after the other.

    A video that fails is listed in the report and does not stop the others.

    Args:
        detections: A file, or results that were read.
        to: The format.
        out: A folder, or a file for formats that hold all videos; or where to write to, if it is one file.
        options: What is written, and how.
        videos: Video files, or folders of them, for formats that want to know the rate, the size or the file.
        force: Overwrite files that are there and differ.
        progress: Who is told.

    Raises:
        AnnotationError: If the detections are not what they should be.
        ConfigError: If the format is not known, needs what is not given, or an option is wrong.
        InputError: If a file that holds all videos is there and differs.
        StorageError: If it cannot be written; what was finished before is kept.
    """
    module, asked, told = exports.load(to, "export"), options or ExportOptions(), progress or Silent()
    _check_needs(to, module.LAYOUT, asked, bool(videos))
    results = detections if isinstance(detections, Results) else read_results(detections)
    chosen = exports.choose(results, asked)
    several = module.LAYOUT.per_video and len(chosen) != 1
    if not isinstance(out, Path) and (several or hasattr(module, "write")):
        raise ConfigError(f"{to}: there are several files to write; name a folder with -o")
    paths = {video_name(path): path for path in find_videos(videos)} if videos else {}
    job = _Export(module, asked, paths, force)
    with told.task(f"export {to}", len(chosen), "videos") as bar:
        for name in job.run(chosen, out):
            bar.advance(1, name)
    if isinstance(out, Path):
        job.set_up(out)
    n_all, n_kept = (sum(map(len, listed.values())) for listed in (results.by_video, chosen))
    return job.report(to, n_all - n_kept)


def _check_needs(to: str, layout: exports.Layout, options: ExportOptions, videos: bool) -> None:
    if videos:
        return
    if "file" in layout.needs:
        raise ConfigError(f"{to}: the videos are needed; --videos DIR")
    if "size" in layout.needs:
        raise ConfigError(f"{to}: the size of the pictures is needed; --videos DIR")
    if "fps" in layout.needs and options.fps is None:
        raise ConfigError(f"{to}: it counts frames, so their rate is needed; --videos DIR or --fps RATE")


class _Export:
    """One export under way.

    Attributes:
        files: What is there so far.
        made: How many of them are new.
        done: Video name to the detections that were written.
        notes, failures: As in `DetectionExport`.
    """

    def __init__(self, module: Any, options: ExportOptions, paths: Mapping[str, Path], force: bool) -> None:
        self._module, self._options, self._paths, self._force = module, options, paths, force
        self.files: list[Path] = []
        self.made = 0
        self.done: dict[str, tuple[Detection, ...]] = {}
        self.notes: dict[str, str] = {}
        self.failures: dict[str, str] = {}

    def run(self, chosen: Mapping[str, tuple[Detection, ...]], out: Path | TextIO) -> Iterator[str]:
        """Write everything; yield each video's name when it is dealt with."""
        if self._module.LAYOUT.per_video:
            for name, found in chosen.items():
                self._one(name, found, out)
                yield name
            return
        dealt: list[str] = []
        self._write(self._module.pieces(self._all(chosen, dealt), self._options), out)
        yield from dealt

    def set_up(self, out: Path) -> None:
        """Write the file that tells the program which labels there are, where the format has one."""
        if not self.done or not hasattr(self._module, "setup"):
            return
        name, text = self._module.setup(sorted({d.label for found in self.done.values() for d in found}))
        beside = out / name if self._module.LAYOUT.per_video else out.with_name(name)
        write_atomic(beside, text)
        self.files.append(beside)

    def report(self, to: str, n_left_out: int) -> DetectionExport:
        """Return what was done."""
        files, n_done = tuple(self.files), sum(map(len, self.done.values()))
        return DetectionExport(to, files, self.made, len(self.done), n_done, n_left_out, self.notes, self.failures)

    def _all(self, chosen: Mapping[str, tuple[Detection, ...]], dealt: list[str]) -> Iterator[Video]:
        for name, found in chosen.items():
            dealt.append(name)
            try:
                video = self._video(name, found)
            except InputError as error:
                self._fail(name, found, error)
                continue
            yield video
            self.done[name] = found

    def _one(self, name: str, found: tuple[Detection, ...], out: Path | TextIO) -> None:
        try:
            safe = exports.file_name(name)
            video = self._video(name, found)
            if hasattr(self._module, "write") and isinstance(out, Path):
                for path, made in self._module.write(video, out / safe, self._options, self._force):
                    self._count(path, made)
            else:
                target = out / (safe + self._module.LAYOUT.suffix) if isinstance(out, Path) else out
                self._write(self._module.pieces([video], self._options), target)
        except InputError as error:
            self._fail(name, found, error)
        else:
            self.done[name] = found

    def _fail(self, name: str, found: tuple[Detection, ...], error: InputError) -> None:
        """Take note of a failure, unless there was nothing to write."""
        if found:
            self.failures[name] = str(error)

    def _video(self, name: str, found: tuple[Detection, ...]) -> Video:
        """Return a video with what the format needs to know of its file.

        Raises:
            InputError: If the file is needed and is not among the videos, cannot be read, or does not tell its rate.
        """
        needs, path = self._module.LAYOUT.needs, self._paths.get(name)
        if not needs:
            return Video(name, found, Media(path))
        if path is None:
            if self._paths:
                raise InputError(f"no video of the name '{name}' among those of --videos")
            return Video(name, found, Media(fps=self._options.fps))
        if needs == {"file"}:
            return Video(name, found, Media(path))
        seen = survey(path, max_frames=FIRST_FRAMES)
        media = _media(seen, self._options)
        if seen.variable:
            self.notes[name] = UNEVEN
        return Video(name, found, media)

    def _write(self, pieces: Iterable[str], target: Path | TextIO) -> None:
        """Write text as it comes; a file that is there must be the same, or may be overwritten.

        Raises:
            InputError: If it is there and differs.
        """
        if not isinstance(target, Path):
            for piece in pieces:
                target.write(piece)
            return
        there = target.is_file()
        with atomic_path(target) as aside:
            with aside.open("wb") as file:
                file.writelines(piece.encode("utf-8", "backslashreplace") for piece in pieces)
            same = there and filecmp.cmp(aside, target, shallow=False)
            if there and not same and not self._force:
                raise InputError(f"{target}: is there already and differs; choose another place, or --force")
        self._count(target, not same)

    def _count(self, path: Path, made: bool) -> None:
        self.files.append(path)
        self.made += made


def _media(seen: Survey, options: ExportOptions) -> Media:
    info = seen.info
    fps = options.fps or info.fps
    if fps is None:
        raise InputError(f"{info.path}: does not tell its frames per second; --fps RATE")
    length_s = None if info.duration_s is None else float(info.duration_s)
    return Media(info.path, fps, info.width, info.height, float(info.start_s), length_s, info.n_frames)
