"""What is asked of fsspec: a file system for an address, an object into a file, a file into an object."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tal.storage.retrying import foreign
from tal.storage.urls import scheme_of

ATOMIC = frozenset(["s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "oci", "oss"])
"""Schemes of stores in which an object appears when it is complete."""
LEAST_BYTES_PER_S = 1e5
"""So slowly may a store take what it is sent; not all of them tell how far they are."""
LIST_CALLS = 30
"""So many times longer than one call may a list take, which is put together from pages."""


def opened(url: str) -> tuple[Any, str]:
    """Return the file system of a URL and what it calls the object there."""
    import fsspec

    more: dict[str, Any] = {}
    if scheme_of(url) in ("http", "https") and "::" not in url:
        import aiohttp

        given = fsspec.config.conf.get(scheme_of(url), {}).get("client_kwargs", {})
        no_end = aiohttp.ClientTimeout(total=None, sock_connect=30)  # five minutes for a whole file are too few
        more["client_kwargs"] = {"timeout": no_end, **given}
    fs, key = fsspec.url_to_fs(url, **more)
    return fs, key


def size_of(path: Path) -> int:
    """Return the bytes of a file so far; -1 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def get(fs: Any, key: str, path: Path, size: int | None, check: Callable[..., None]) -> None:
    """Copy an object of a known size to a file; `check` is called with every block.

    Raises:
        ConnectionError: If not all of it came.
    """
    from fsspec.callbacks import Callback

    fs.get_file(key, str(path), callback=Callback(hooks={"over": check}))
    if size is not None and path.stat().st_size != size:
        raise ConnectionError(f"{path.stat().st_size} of {size} bytes came")


def send(fs: Any, path: Path, key: str, atomic: bool) -> None:
    """Copy a file to an object; where it would be seen half, under a hidden name first."""
    if atomic:
        fs.put_file(str(path), key)
        return
    folder, _, name = key.rpartition("/")
    aside = f"{folder}/.{name}.{secrets.token_hex(4)}.part"
    try:
        fs.put_file(str(path), aside)
        fs.mv(aside, key)
    except BaseException:
        with suppress(*foreign(), OSError, NotImplementedError):
            fs.rm_file(aside)
        raise
