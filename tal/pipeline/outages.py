"""Storage that is away for a while: what is waited for, what is tried again, and when a batch ends instead.

A store behind a URL is asked again by `tal.storage.Patience`. Here is what a batch makes of it, and the same for disks
and mounted network folders. Nothing a network folder says of a video is believed at once: a read that fails looks to
decoders like a damaged file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from extract.reports import DecodeReport
from tal.errors import RemoteError, StorageError, TalError
from tal.files import CHUNK, sha256_file
from tal.ledger import is_shared
from tal.pipeline.looks import Looks
from tal.storage import AwayError, Patience, is_away
from tal.types import Features

T = TypeVar("T")
IN_A_ROW = 3
"""Videos one after the other that cannot be reached, nothing else between them, with which a batch ends."""


@dataclass
class Outage:
    """What a batch knows of the storage under it.

    Attributes:
        patience: How long storage is given.
        in_charge: Whether whoever asks reads doubted videos again, and ends the batch; else nothing is doubted.
    """

    patience: Patience
    in_charge: bool = False
    _doubted: dict[Path, DecodeReport | TalError] = field(default_factory=dict)
    _n_away: Counter[bool] = field(default_factory=Counter)
    _problem: TalError | None = None

    def outlast(self, function: Callable[[], T]) -> T:
        """Return what a function returns; wait and call it again while disks or mounted folders are away.

        What a store says in the end has been waited for where it was asked.
        """

        def call() -> T | AwayError:
            try:
                return function()
            except AwayError as error:
                return error

        found = self.patience.outlast(call)
        if isinstance(found, AwayError):
            raise found
        return found

    def begin(self, function: Callable[[], T]) -> T:
        """Do what comes before all videos, as `outlast` does.

        Raises:
            StorageError: If disks or mounted folders are away for good.
        """
        try:
            return self.outlast(function)
        except OSError as error:
            if not is_away(error):
                raise
            where = f"{error.filename}: " if error.filename else ""
            remedy = "see that the disk or network folder is there and run it again"
            raise StorageError(f"{where}cannot be read: {error.strerror}; {remedy}") from error

    def reach(self, path: Path) -> None:
        """Wait until a file can be read, to its end if it was doubted.

        Raises:
            OSError: If its storage does not come back.
        """
        self.outlast(lambda: _read(path, path in self._doubted))

    def reads(self, path: Path) -> bool:
        """Wait until a file that is there can be read to its end; return whether it is there.

        Raises:
            OSError: If it cannot in the end.
        """
        try:
            self.outlast(lambda: sha256_file(path))
        except FileNotFoundError:
            return False
        return True

    def look(self, looks: Looks, path: Path) -> str:
        """Return what a video looks like; nothing where it is gone, which `check_unchanged` tells."""
        try:
            return self.outlast(lambda: looks.of(path))
        except OSError:
            return ""

    def note(self, path: Path, error: TalError | OSError | None = None, sent: bool = False) -> None:
        """Note that a video could be read or, for stores, that its shard was sent; or why not."""
        if error is None or not is_away(error) or (not isinstance(error, RemoteError) and _answers(path)):
            self._n_away[sent] = 0
            return
        self._n_away[sent] += 1
        if self.in_charge and self._n_away[sent] >= IN_A_ROW and self._problem is None:
            kind = RemoteError if isinstance(error, RemoteError) else StorageError
            said = error if isinstance(error, TalError) else f"{path}: cannot be read: {error.strerror}"
            self._problem = kind(f"{said}; {IN_A_ROW} videos in a row: the batch ends here, what is finished is kept")

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._problem is not None

    def check(self) -> None:
        """End the batch if storage is away for good.

        Raises:
            StorageError: If disks or mounted folders are.
            RemoteError: If a store is.
        """
        if self._problem is not None:
            raise self._problem

    def doubts(self, path: Path, found: Features | TalError) -> bool:
        """Return whether a video that failed, or in which something is missing, is to be read once more, at the end."""
        if not self.in_charge or path in self._doubted or _is_well(found):
            return False
        if is_shared(path) or (isinstance(found, TalError) and is_away(found)):
            self._doubted[path] = found if isinstance(found, TalError) else _report(found)
            return True
        return False

    def differs(self, path: Path, found: Features) -> bool:
        """Return whether something is missing in a video that was found otherwise when it was read before."""
        return path in self._doubted and not _is_well(found) and self._doubted[path] != _report(found)


def _is_well(found: Features | TalError) -> bool:
    return not isinstance(found, TalError) and not _report(found).remark()


def _report(found: Features) -> DecodeReport:
    return DecodeReport.from_dict(found.provenance["video"]["decode"])


def _answers(path: Path) -> bool:
    """Return whether a file can be read from, or cannot for another reason than its storage."""
    try:
        _read(path)
    except OSError:
        return False
    return True


def _read(path: Path, whole: bool = False) -> None:
    """Read the first byte of a file, or all of it; only what says that its storage is away is raised."""
    try:
        with path.open("rb") as file:
            while file.read(CHUNK if whole else 1) and whole:
                pass
    except OSError as error:
        if is_away(error):
            raise
