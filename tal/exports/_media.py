"""How files and addresses name videos, and what kind of file they are."""

from __future__ import annotations

import mimetypes
import re
from urllib.parse import unquote

from tal.parsing import video_name


def mime_type(file: str) -> str:
    """Return a file's media type by its suffix: video/mp4 for all that is not known."""
    found = mimetypes.guess_type(file, strict=False)[0] or ""
    return found if found.startswith("video/") else "video/mp4"


_QUERY = re.compile(r"[?&]d=([^&]*)")
"""How Label Studio names files of its own machine."""
_UPLOAD = re.compile(r"(/data/upload/.*/)[0-9a-f]{8}-")
"""What it puts before the names of files that were given to it."""


def name_in(address: str) -> str:
    """Return the video's name in a path or address: its last part, without what follows it and without suffix."""
    query, path = _QUERY.search(address), _UPLOAD.sub(r"\1", address)
    if query or "://" in address or path != address:
        path = unquote(query[1] if query else path.split("?", maxsplit=1)[0])
    return video_name(re.split(r"[/\\]", path)[-1].strip())
