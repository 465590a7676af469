"""Folders of flow images: what the ones that are read hold, and how the ones that are written become whole.

`extract.flow_images` describes the images. A folder that is written has a hidden ``.tal`` beside the videos' folders:
images that are not finished, locks, and for each video the key of the shard that its images were made with.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from extract import flow_images
from extract.video import video_name
from tal.cache import Cache, Stage
from tal.errors import ConfigError, InputError
from tal.files import digest_of, sha256_file, storage_errors, write_atomic
from tal.settings import ExtractSettings, Settings

LOOK = Stage("flow_images", version=1)
_DIGEST = "sha256"


def digest(video: Path, settings: ExtractSettings, cache: Cache) -> str | None:
    """Return the digest of the names and the content of a video's flow images; None where none are read.

    It is remembered as long as no image's size or time changes.

    Raises:
        InputError: If there are none.
    """
    if not settings.reads_flow:
        return None
    folder = flow_images.of_video(Path(settings.flow_images), video)
    files = flow_images.files_of(folder)
    with _reading(folder):
        stats = [(file.name, stat.st_size, stat.st_mtime_ns) for file in files for stat in [file.stat()]]
    where = os.fsencode(os.path.realpath(folder)).decode("utf-8", "backslashreplace")
    fields = {"folder": where, "files": digest_of(stats)}
    entry = cache.find(LOOK, fields) or cache.get(LOOK, fields, lambda work: _look(work, folder, files))
    return (entry.path / _DIGEST).read_text()


def _look(work: Path, folder: Path, files: list[Path]) -> None:
    found = hashlib.sha256()
    with _reading(folder):
        for file in files:
            found.update(f"{file.name} {sha256_file(file)}\n".encode())
    (work / _DIGEST).write_text(found.hexdigest())


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot read: {error.strerror}") from error


@dataclass(frozen=True)
class SavedFlow:
    """Where an extraction writes flow as images.

    A video's images are made aside and published once its features are there. A folder that something else made is
    never replaced.

    Attributes:
        root: The folder that holds one folder for each video; None for nowhere.
    """

    root: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> SavedFlow:
        """Return where flow is to be written.

        Raises:
            ConfigError: If no flow is computed.
        """
        named, s = settings.runtime.save_flow, settings.extract
        if named and "flow" not in s.streams:
            raise ConfigError("runtime.save_flow: without the flow stream no flow is computed; leave one out")
        if named and s.flow_images:
            raise ConfigError("runtime.save_flow: flow is read from extract.flow_images, not computed; leave one out")
        return cls(Path(named) if named else None)

    def check(self, video: Path) -> None:
        """Refuse to replace what is not ours.

        Raises:
            InputError: If a video's folder is of other origin.
        """
        if self.root is None or not (folder := flow_images.of_video(self.root, video)).exists():
            return
        if self._made_with(video) is None:
            raise InputError(
                f"{folder}: not written by tal, so it is not replaced; name another folder to save flow in"
            )

    def is_kept(self, video: Path, key: str) -> bool:
        """Return whether nothing is left to be written for a video."""
        if self.root is None:
            return True
        return self._made_with(video) == key and flow_images.of_video(self.root, video).is_dir()

    def aside(self, video: Path) -> Path | None:
        """Return where a video's images are made."""
        return self.root and self._hidden(video, f"{os.getpid()}.part")

    def publish(self, video: Path, key: str) -> None:
        """Give a video's images their place.

        Raises:
            InputError: If there is a folder of other origin.
            StorageError: If the folder cannot be written.
        """
        aside = self.aside(video)
        if self.root is None or aside is None:
            return
        with storage_errors(self.root), FileLock(str(self._hidden(video, "lock"))):
            self.check(video)
            final, record = flow_images.of_video(self.root, video), self._hidden(video, "key")
            write_atomic(record, "")  # ours, and not whole
            if final.exists():
                shutil.rmtree(final)
            aside.replace(final)
            write_atomic(record, key)

    def drop(self, video: Path) -> None:
        """Remove images that were not published."""
        if aside := self.aside(video):
            shutil.rmtree(aside, ignore_errors=True)

    def _made_with(self, video: Path) -> str | None:
        try:
            return self._hidden(video, "key").read_text()
        except OSError:
            return None

    def _hidden(self, video: Path, suffix: str) -> Path:
        return (self.root or Path()) / ".tal" / f"{video_name(video)}.{suffix}"
