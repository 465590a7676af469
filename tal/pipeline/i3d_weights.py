"""I3D weight files: which are used, fetching them, whose they are, and turning one format into another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tal
from extract import weights
from extract.fetch import KNOWN_FILES, KnownFile, digests_of, fetch
from extract.tf_checkpoint import files_of
from extract.weights_names import to_hassony2
from tal.cache import Cache
from tal.errors import ConfigError, TalError, WeightsError
from tal.files import canonical_json, storage_errors
from tal.progress import Progress, Silent

if TYPE_CHECKING:
    from extract.weights import Inspection

KEYS: Mapping[str, Callable[[str], str]] = {"ours": str, "piergiaj": str, "hassony2": to_hassony2}
"""Names of tensors that `convert` can write; ours are those of piergiaj/pytorch-i3d."""


@dataclass(frozen=True)
class WeightsFile:
    """What ``default`` stands for, for one stream.

    Attributes:
        stream: ``rgb`` or ``flow``.
        path: The file; None if it is not here.
        n_bytes: Its size, or that of the published file; None if not known.
        origin: ``found in FOLDER``, ``fetched from ADDRESS`` or ``can be fetched from ADDRESS``.
        digest: ``right`` or ``wrong`` for a file that is here, ``known`` for one that is not; ``unknown`` where no
            digest of the file is published.
    """

    stream: str
    path: Path | None
    n_bytes: int | None
    origin: str
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "stream": self.stream,
            "path": str(self.path) if self.path else None,
            "n_bytes": self.n_bytes,
            "origin": self.origin,
            "digest": self.digest,
        }


def list_files(
    streams: Sequence[str], cache: Cache | None = None, known_files: Sequence[KnownFile] = KNOWN_FILES
) -> list[WeightsFile]:
    """Return the file that ``default`` would find or fetch, for each stream.

    Raises:
        WeightsError: If $TAL_WEIGHTS names no folder.
    """
    return [_listed(stream, _fetched(cache), known_files) for stream in streams]


def _fetched(cache: Cache | None) -> Path:
    return (cache or Cache()).root / "weights"


def _listed(stream: str, fetched: Path, known_files: Sequence[KnownFile]) -> WeightsFile:
    source = weights.local(stream, fetched, known_files)
    if source is None:
        known = weights.published_file(stream, known_files)
        digest = "known" if known.has_digest else "unknown"
        return WeightsFile(stream, None, known.n_bytes or None, f"can be fetched from {known.url}", digest)
    n_bytes = sum(path.stat().st_size for path in files_of(source.path))
    digest = {None: "unknown", "": "right"}.get(_mismatch(source.path, known_files), "wrong")
    return WeightsFile(stream, source.path, n_bytes, source.origin, digest)


def _mismatch(path: Path, known_files: Sequence[KnownFile]) -> str | None:
    """Return how a file differs from the published one of its name; None if there is none."""
    known = next((known for known in known_files if known.name == path.name and known.has_digest), None)
    if known is None:
        return None
    try:
        return known.mismatch(digests_of(path))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error


def fetch_file(
    stream: str,
    cache: Cache | None = None,
    progress: Progress | None = None,
    known_files: Sequence[KnownFile] = KNOWN_FILES,
) -> WeightsFile:
    """Fetch a stream's published weights if none are here, and verify them either way.

    Raises:
        WeightsError: If they cannot be had whole, or what is here under a published file's name is another file.
    """
    cache = cache or Cache()
    source = None if cache.force else weights.local(stream, _fetched(cache), known_files)
    if source and (reason := _mismatch(source.path, known_files)):
        raise WeightsError(
            f"{source.path}: not the published file of that name ({reason}); rename it, or replace it with --force"
        )
    if source:
        return _listed(stream, _fetched(cache), known_files)
    known = weights.published_file(stream, known_files)
    path = fetch(known, weights.fetch_folder(_fetched(cache)), progress or Silent(), cache.force)
    return WeightsFile(stream, path, path.stat().st_size, f"fetched from {known.url}", "right")


@dataclass(frozen=True)
class Checked:
    """What a file turned out to be.

    Attributes:
        path: As it was given.
        found: What it is; None if it cannot be used.
        error: Why it cannot be used, in one line; else empty.
    """

    path: Path
    found: Inspection | None = field(default=None, repr=False)
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; every key is always there, null for a file that cannot be used."""
        return {"path": str(self.path), "error": self.error or None, **_facts(self.found)}


def _facts(found: Inspection | None) -> dict[str, Any]:
    published = found.published if found else None
    return {
        "format": found and found.format.value,
        "stream": found and found.stream,
        "n_tensors": found and len(found.state),
        "sha256": found and found.digests.sha256,
        "published": published and published.url,
        "checkpoint": found and found.report.checkpoint,
        "n_equal": found and found.report.n_equal,
        "n_compared": found and found.report.n_tensors,
        "different": found and list(found.report.different),
    }


def check_files(paths: Sequence[Path], progress: Progress | None = None) -> list[Checked]:
    """Tell what each file is, and whose weights it holds; a file that cannot be used does not stop the others."""
    checked = []
    with (progress or Silent()).task("verify weights", len(paths), "files") as bar:
        for path in paths:
            try:
                checked.append(Checked(path, weights.inspect(path.expanduser())))
            except TalError as error:
                checked.append(Checked(path, None, str(error)))
            bar.advance(1, path.name)
    return checked


def convert(source: Path, target: Path, keys: str = "ours", force: bool = False) -> tuple[Path, Inspection]:
    """Write a weight file of any format as safetensors, float32, whole or not at all.

    The metadata's one entry, ``tal``, is JSON: origin (name, format and SHA-256 of the source), stream, names, and how
    the tensors compare with DeepMind's.

    Args:
        source: The file to read.
        target: The file to write, or a folder, which gets ``i3d_STREAM.safetensors``, a name that is known.
        keys: Whose names to use, of `KEYS`.
        force: Overwrite what is there.

    Returns:
        The file that was written, and what the source is.

    Raises:
        ConfigError: If `keys` are not known, or `target` is there or is not called ``.safetensors``.
        WeightsError: If `source` cannot be used.
    """
    if keys not in KEYS:
        raise ConfigError(f"--keys '{keys}': known are {', '.join(KEYS)}")
    if not target.is_dir():
        _check_target(target, force)
    found = weights.inspect(source.expanduser())
    path = target / f"i3d_{found.stream}.safetensors" if target.is_dir() else target
    _check_target(path, force)
    with storage_errors(path):
        weights.save_about(path, {KEYS[keys](key): v for key, v in found.state.items()}, _about(found, keys))
    return path, found


def _check_target(path: Path, force: bool) -> None:
    if path.suffix != ".safetensors":
        raise ConfigError(f"{path}: weights are written as safetensors; name it {path.with_suffix('.safetensors')}")
    if path.exists() and not force:
        raise ConfigError(f"{path}: is there already; name another file or overwrite it with --force")


def _about(found: Inspection, keys: str) -> str:
    origin = {"file": found.path.name, "format": found.format.value, "sha256": found.digests.sha256}
    if found.published:
        origin["published"] = found.published.url
    about = {"origin": origin, "stream": found.stream, "keys": keys, "verification": str(found.report)}
    return canonical_json({**about, "tal": tal.__version__})
