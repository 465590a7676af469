"""Calls of a store that may fail for a while: what is tried again, for how long, and what is said in the end."""

from __future__ import annotations

import errno
import random
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tal.errors import RemoteError, TalError
from tal.files import AWAY
from tal.storage.urls import scheme_of, shown
from tal.storage.watching import STALL_S

T = TypeVar("T")
FIRST_S = 1.0
"""Before the second try, doubled each time; each wait is 0.5 to 1.5 times that, so that many do not ask at once."""
LONGEST_S = 30.0
PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "'tal[s3]'"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    "hf": "huggingface_hub",
    "smb": "smbprotocol",
    "oci": "ocifs",
    "oss": "ossfs",
}
CREDENTIALS = {
    **dict.fromkeys(("s3", "s3a"), "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"),
    **dict.fromkeys(("gs", "gcs"), "GOOGLE_APPLICATION_CREDENTIALS, or 'gcloud auth application-default login'"),
    **dict.fromkeys(("az", "abfs", "abfss"), "AZURE_STORAGE_CONNECTION_STRING"),
    "hf": "HF_TOKEN, or 'hf auth login'",
}
_LOCAL = {errno.ENOSPC, errno.EROFS, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_LASTING = {errno.EINVAL, errno.ENAMETOOLONG, errno.ENOSYS, errno.EPERM, errno.EISDIR, errno.ENOTDIR}
_FOREIGN = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("aiohttp", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
    ("paramiko", "SSHException"),
)
"""What stores' packages raise beside `OSError`; looked up only where the package is loaded."""
_REFUSED = (
    *("NoCredentials", "PartialCredentials", "CredentialRetrieval", "TokenRetrieval", "DefaultCredentials"),
    *("ProfileNotFound", "UnauthorizedSSOToken", "ClientAuthentication"),
)
_BUSY = (408, 425, 429)


class StoppedError(Exception):
    """Nobody wants the result any more; ends a thread that fetches ahead and is seen by nobody."""


class AwayError(RemoteError):
    """A store that went on failing in ways that pass: its other objects cannot be had either, most likely."""


@dataclass(frozen=True)
class Patience:
    """How long a store is given.

    Attributes:
        retries: Tries after the first.
        over: Once it is set, nothing is tried any more.
        stall_s: How long a call may go without getting on before it counts as failed, s.
    """

    retries: int = 5
    over: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)
    stall_s: float = STALL_S

    def call(self, what: str, url: str, function: Callable[[], T]) -> T:
        """Return what a function returns; call it again while the store fails in ways that pass.

        Args:
            what: What is done, for the error: ``read``, ``list``, ``written``.
            url: Where.
            function: Must do no harm when it is called twice.

        Raises:
            AwayError: If it goes on failing.
            RemoteError: If it fails in a way that lasts.
            FileNotFoundError: If there is nothing.
            OSError: If the local disk is full or read-only.
            StoppedError: If `over` was set.
        """
        for n_failed in range(self.retries + 1):
            self.check()
            try:
                return function()
            except FileNotFoundError:
                raise
            except _kinds() as error:
                if getattr(error, "errno", None) in _LOCAL:
                    raise
                if problem := _lasting(error, url):
                    raise RemoteError(f"{shown(url)}: {problem}") from error
                if n_failed == self.retries:
                    raise AwayError(
                        f"{shown(url)}: cannot be {what} ({_words(error)}), tried {n_failed + 1} times; check the "
                        "network and run it again"
                    ) from error
            self._wait(n_failed)
        raise ValueError(f"{self.retries} retries")

    def outlast(self, function: Callable[[], T]) -> T:
        """Return what a function returns that works on files; call it again while a mounted folder is away.

        Args:
            function: Must do no harm when it is called twice; what it raises is raised in the end.
        """
        for n_failed in range(self.retries + 1):
            try:
                return function()
            except (OSError, TalError) as error:
                if n_failed == self.retries or not is_away(error):
                    raise
            self._wait(n_failed)
        raise ValueError(f"{self.retries} retries")

    def _wait(self, n_failed: int) -> None:
        wait_s = min(LONGEST_S, FIRST_S * 2**n_failed)
        self.over.wait(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret

    def check(self, n_bytes: int = 0) -> None:
        """End what is under way if `over` was set; stores call it with every block of a file."""
        if self.over.is_set():
            raise StoppedError


def is_away(error: BaseException | None) -> bool:
    """Return whether an error, or what it came from, says that a store, a disk or a mounted folder is out of reach."""
    while error is not None:
        if isinstance(error, AwayError) or getattr(error, "errno", None) in AWAY:  # FFmpeg's errors have one, too
            return True
        error = error.__cause__
    return False


def foreign() -> tuple[type[Exception], ...]:
    """Return the kinds of errors of the stores' packages that are loaded."""
    found = (getattr(sys.modules.get(module), name, None) for module, name in _FOREIGN)
    return tuple(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))


def _kinds() -> tuple[type[Exception], ...]:
    return (OSError, TimeoutError, NotImplementedError, ImportError, ValueError, *foreign())


def missing(url: str) -> RemoteError:
    """Return the error for what is not there."""
    return RemoteError(f"{shown(url)}: nothing there; check the address and that the bucket exists")


def _lasting(error: BaseException, url: str) -> str:
    """Return what is wrong and what to do if trying again is of no use, else nothing."""
    scheme, status = scheme_of(url), getattr(error, "status", None)
    if isinstance(error, ImportError):
        return f"this kind of address needs another package; pip install {PACKAGES.get(scheme, f'fsspec[{scheme}]')}"
    if isinstance(error, NotImplementedError):
        return "this kind of address can only be read; name another place"
    refused = any(kind.__name__.startswith(_REFUSED) for kind in type(error).__mro__)
    if refused or isinstance(error, PermissionError) or status in (401, 403):
        remedy = f"set {CREDENTIALS[scheme]}" if scheme in CREDENTIALS else "check user and password"
        return f"access denied ({_words(error)}); {remedy}"
    if getattr(error, "errno", None) in _LASTING or isinstance(error, ValueError):
        return f"not possible ({_words(error)}); check the address"
    if isinstance(status, int) and 400 <= status < 500 and status not in _BUSY:
        return f"not possible ({_words(error)}); check the address"
    return ""


def _words(error: BaseException) -> str:
    """Return an error's text in one short line; that of an HTTP status alone, since its text holds the whole URL."""
    status = getattr(error, "status", None)
    text = f"{status} {getattr(error, 'message', '')}" if isinstance(status, int) else str(error)
    line = " ".join(text.split()) or type(error).__name__
    return line if len(line) <= 160 else line[:157] + "..."
