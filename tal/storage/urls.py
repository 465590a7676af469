"""Addresses: which arguments are URLs, how they are joined and shown, and what their last part is called here.

``file://`` is a plain path. `pathlib` folds ``s3://bucket`` into ``s3:/bucket``; both are understood, so that a URL may
pass through a `Path`. What a store names its objects is never trusted to be a path.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

_CLOUDS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "oci", "oss")
_SERVERS = ("http", "https", "ftp", "sftp", "ssh", "smb", "hdfs", "webhdfs", "memory")
SCHEMES = frozenset((*_CLOUDS, *_SERVERS))
LONGEST_BYTES = 200
"""A name that is longer is cut: file systems allow 255 bytes, and shards have a suffix."""
_FORM = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/{1,3})(?!/)(.*)", re.DOTALL)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\\/:*?"<>|%]')
_WEB = ("http", "https")


def url_of(place: Path | str) -> str | None:
    """Return the URL that an argument is, or None if it is a path; ``file://`` URLs are paths."""
    found = _FORM.fullmatch(str(place))
    if not found or (scheme := found[1].lower()) not in SCHEMES:
        return None
    return f"{scheme}://{found[3]}"


def path_of(place: Path | str) -> Path:
    """Return an argument that is no URL as a path, a ``file://`` URL among them."""
    found = _FORM.fullmatch(str(place))
    if found and found[1].lower() in ("file", "local"):
        return Path("/" + found[3])
    return Path(place)


def scheme_of(url: str) -> str:
    """Return the part before ``://``."""
    return url.partition("://")[0]


def join(url: str, name: str) -> str:
    """Return the URL of what lies below another."""
    return f"{url.rstrip('/')}/{name}"


def shown(url: str) -> str:
    """Return a URL for people and logs: without a password and without what follows ``?``, which may be a signature."""
    scheme, _, rest = url.partition("://")
    host, slash, key = rest.partition("/")
    host = host.rpartition("@")[2]
    return f"{scheme}://{host}{slash}{key.partition('?')[0] if scheme in _WEB else key}"


def name_in(url: str) -> str:
    """Return the last part of a URL as a file name that is safe on every system.

    Characters that mean something in paths, and ``%``, become ``%XX``; so do the dots of ``.`` and ``..``. A long name
    is cut and ends in a digest. Different names stay different.
    """
    if scheme_of(url) in _WEB:
        last = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
    else:
        last = url.rstrip("/").rpartition("/")[2]
    return safe_name(last)


def safe_name(name: str) -> str:
    """Return a name as one part of a path, see `name_in`."""
    safe = _UNSAFE.sub(lambda c: f"%{ord(c[0]):02X}", name)
    if safe.strip(".") == "" or safe.startswith("."):
        safe = safe.replace(".", "%2E", 1) if safe else "%"
    if len(os.fsencode(safe)) <= LONGEST_BYTES:
        return safe
    stem, suffix = os.path.splitext(safe)  # noqa: PTH122 - no path
    tail = f"~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}{suffix[:16]}"
    return os.fsencode(stem)[: LONGEST_BYTES - len(os.fsencode(tail))].decode("utf-8", "ignore") + tail


def is_inside(name: str) -> bool:
    """Return whether a name below a folder, with ``/``, stays inside of it on every system."""
    parts = name.split("/")
    return all(part not in ("", ".", "..") and not re.search(r"[\x00-\x1f\\:]", part) for part in parts)
