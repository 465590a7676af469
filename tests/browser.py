"""Chromium for tests: pages opened from disk, with everything they complain about and ask for written down."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from patience import WAIT_S

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("file:", "data:", "blob:", "about:")
FRAMES = """async () => {
    for (let n = 0; n < 3; n++) await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
}"""
UNFOLD = """() => Promise.all([...document.querySelectorAll('details:not([open])')].map(details => {
    const filled = new Promise(done => details.addEventListener('toggle', done, { once: true }));
    details.open = true;
    return filled;
}))"""


def _missing() -> str:
    """Return what is missing for tests in a browser, or nothing."""
    if find_spec("playwright") is None:
        return "needs the Python package 'playwright'"
    return "" if any(map(shutil.which, PROGRAMS)) else "needs the program 'chromium'"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium, one per module: while Playwright runs, its thread can run no other event loop."""
    if missing := _missing():
        (pytest.fail if os.environ.get("TAL_REQUIRE_CHROMIUM") == "1" else pytest.skip)(missing)
    from playwright.sync_api import sync_playwright

    program = next(found for found in map(shutil.which, PROGRAMS) if found)
    with sync_playwright() as playwright:
        browser = launched(playwright, program)
        yield browser
        browser.close()


def launched(playwright: Any, program: str) -> Any:
    """Start a browser."""
    return playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=1000 * WAIT_S)


def new_page(place: Any) -> Any:
    """Return a new page of a browser or context that waits as long as a busy machine needs."""
    page = place.new_page()
    page.set_default_timeout(1000 * WAIT_S)
    return page


@dataclass
class Shown:
    """An opened page.

    Attributes:
        page: Playwright's page.
        problems: Errors and warnings of its console, and exceptions.
        outside: Addresses it asked for that do not lie on this disk.
        dialogs: Texts of the dialogs that scripts opened.
    """

    page: Any
    problems: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def js(self, code: str, *argument: Any) -> Any:
        """Evaluate JavaScript in the page."""
        return self.page.evaluate(code, *argument)

    def until(self, code: str) -> None:
        """Wait until an expression is true: asked from outside, since the page's policy lets nobody evaluate in it."""
        deadline = time.monotonic() + WAIT_S
        while not self.js(code):
            assert time.monotonic() < deadline, f"still not so: {code}"
            self.page.wait_for_timeout(20)

    def drawn(self) -> None:
        """Wait until everything is drawn that waits for the next frame, and what that puts off to the one after it."""
        self.js(FRAMES)

    def unfold(self) -> None:
        """Open all that is folded away, and wait for what it is filled with then."""
        self.js(UNFOLD)
        self.drawn()


@contextmanager
def opened(browser: Any, path: Path, route: str = "", **options: Any) -> Iterator[Shown]:
    """Open an HTML file from disk in a fresh profile; at the end it must have made no trouble and asked nobody.

    Args:
        browser: The fixture `chromium`.
        path: The file.
        route: What stands behind the file's name, such as ``#/video/a``.
        options: Of Playwright's ``new_context``: ``viewport``, ``color_scheme``, ``has_touch`` ...
    """
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
    shown = Shown(new_page(context))
    shown.page.on("console", lambda said: said.type in {"error", "warning"} and shown.problems.append(said.text))
    shown.page.on("pageerror", lambda error: shown.problems.append(str(error)))
    shown.page.on("request", lambda asked: asked.url.startswith(LOCAL) or shown.outside.append(asked.url))
    shown.page.on("dialog", lambda dialog: (shown.dialogs.append(dialog.message), dialog.dismiss()))
    try:
        shown.page.goto(path.absolute().as_uri() + route)
        shown.until("performance.getEntriesByName('tal-interactive').length > 0")
        yield shown
        assert shown.problems == []
        assert shown.outside == []
        assert shown.dialogs == []
    finally:
        context.close()
