"""Where video files are: below a folder, and under which real path.

Listing tells folders from files, so that a file is looked at only where it is a link: batches hold tens of thousands.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tal.parsing import VIDEO_SUFFIXES

_NO_NAME = ("", ".", "..")


def videos_below(folder: Path) -> list[Path]:
    """Return the video files below a folder, sorted; hidden ones are left out, links into other folders not followed.

    Links that lead nowhere are among them. Folders that may not be read are passed over.
    """
    return [Path(text) for text in sorted(_below(str(folder)), key=_parts)]


def by_place(videos: Iterable[Path]) -> dict[str, Path]:
    """Return videos by their real paths: of several names of one file, the last."""
    folders: dict[str, str] = {}
    return {_place(os.fspath(video), folders): video for video in videos}


def _below(folder: str) -> Iterator[str]:
    folders = [folder]
    while folders:
        for entry in _entries(folders.pop()):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif _is_video(entry.name) and not _leads_to_folder(entry):
                yield entry.path


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (PermissionError, FileNotFoundError, NotADirectoryError):  # or it has gone meanwhile
        return []


def _is_video(name: str) -> bool:
    return name[0] != "." and os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES  # noqa: PTH122 - a name, often


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _parts(text: str) -> str:
    """Return what sorts texts as `pathlib` sorts paths, part by part: no part holds a zero."""
    return os.path.normcase(text).replace(os.sep, "\0")


def _place(text: str, folders: dict[str, str]) -> str:
    """Return the real path of a file; those of folders are noted: a file that is no link only adds its name."""
    folder, name = os.path.split(text)
    if os.name != "posix" or name in _NO_NAME or os.path.islink(text):  # noqa: PTH114 - links are rare, files many
        return os.path.realpath(text)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder or ".")
    return os.path.join(folders[folder], name)  # noqa: PTH118
