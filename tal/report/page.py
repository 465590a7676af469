"""The page: templates, assets and data become one stream of text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tal.files import atomic_path
from tal.models import tool_version
from tal.report.media import Media, encoded, thumbnails
from tal.report.payload import card, payload, script_json
from tal.timelines import Timeline

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
STYLES = ("uplot/uPlot.min.css", "base.css", "timeline.css", "dataset*.css")
SCRIPTS = (
    *("uplot/uPlot.iife.min.js", "base.js", "theme.js", "data.js", "clock.js", "view.js", "paint.js", "strip.js"),
    *("lanes.js", "pointer.js", "curves.js", "list.js", "controls.js", "keys.js", "video.js", "dataset*.js", "app.js"),
)


@dataclass(frozen=True)
class Page:
    """What a report shows.

    Attributes:
        title: Heading and title of the page.
        videos: Timelines; asked for one at a time while the page is written.
        overview: What `tal.report.dataset` says of all of them, JSON-ready; None: a plain list of videos.
        media: How videos enter the page.
    """

    title: str
    videos: Iterable[Timeline]
    overview: Mapping[str, Any] | None = None
    media: Media = field(default_factory=Media)


def render(page: Page) -> Iterator[str]:
    """Yield the page's HTML piece by piece; one video at a time is in memory."""
    styles, scripts = _assets(STYLES), _assets(SCRIPTS)
    policy = " ".join(f"'sha256-{_sha256(text)}'" for text in scripts)
    template = _environment().get_template("page.html")
    written: list[dict[str, Any]] = []
    yield from template.generate(
        title=page.title,
        version=tool_version(),
        styles=styles,
        scripts=scripts,
        policy=policy,
        videos=_videos(page, written),
        index=lambda: script_json({"title": page.title, "version": tool_version(), "videos": written}),
        overview=script_json(page.overview),
    )


def write(page: Page, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        StorageError: If the disk is full, read-only or gone.
    """
    with atomic_path(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        for piece in render(page):
            file.write(piece)


def route(name: str) -> str:
    """Return the address of a video's page within the report."""
    return f"#/video/{quote(name.encode('utf-8', 'backslashreplace'), safe='')}"


def _videos(page: Page, written: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each video's data for the template; what the list of videos says of it is added to `written`."""
    for timeline in page.videos:
        written.append(card(timeline, route(timeline.video)))
        content, source = payload(timeline), timeline.source
        content["media"] = page.media.about(source) if source else None
        n, there = page.media.n_thumbnails, source and timeline.duration_s
        content["thumbnails"] = thumbnails(source, timeline.duration_s, n) if source and n and there else None
        yield {"json": script_json(content), "embedded": encoded(source) if source and page.media.embed else None}


def _assets(names: Iterable[str]) -> list[str]:
    """Return the texts of files in ``assets``; a pattern stands for what there is of it, by name."""
    folder = FOLDER / "assets"
    files = [path for name in names for path in (sorted(folder.glob(name)) if "*" in name else [folder / name])]
    return [path.read_text(encoding="utf-8") for path in files]


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(FOLDER / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
