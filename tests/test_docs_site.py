"""The documentation as a site: it builds without a warning, fetches nothing from elsewhere, and shows in a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import documents
import pytest
from browser import launched, new_page

FETCHED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; warnings are errors."""
    if find_spec("mkdocs") is None or find_spec("material") is None:
        pytest.skip("needs mkdocs-material: pip install tal[docs]")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=documents.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


class Addresses(HTMLParser):
    """What a page fetches when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "link" and known.get("rel") in ("canonical", "next", "prev"):
            return
        self.found += [value for name, value in attrs if value and (tag, name) in FETCHED]


def test_every_page_is_built(site: Path) -> None:
    written = {path.relative_to(documents.DOCS).with_suffix(".html") for path in documents.DOCS.rglob("*.md")}
    made = {Path("reference/settings.html"), Path("reference/shipped.html"), Path("reference/cli/extract.html")}
    assert [path for path in sorted(written | made) if not (site / path).is_file()] == []
    assert not (site / "_tools").exists()


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        addresses = Addresses()
        addresses.feed(page.read_text(encoding="utf-8"))
        assert addresses.found
        assert [one for one in addresses.found if re.match(r"(https?:)?//", one)] == [], page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


def test_the_search_knows_commands_settings_and_questions(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert all(word in index for word in ("reference/cli/extract.html", "extract.max_gap_s", "OpenCV with CUDA"))


@pytest.mark.chromium
def test_pages_open_from_a_disk_without_an_error(site: Path) -> None:
    program = shutil.which("chromium")
    if program is None or find_spec("playwright") is None:
        (pytest.fail if os.environ.get("TAL_REQUIRE_CHROMIUM") == "1" else pytest.skip)("needs chromium and playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launched(playwright, program)
        page = new_page(browser)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request", lambda asked: None if asked.url.startswith(("file:", "data:")) else problems.append(asked.url)
        )
        page.goto((site / "index.html").as_uri())
        assert page.title() == "tal"
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        page.get_by_role("link", name="Concepts", exact=True).first.click()
        page.wait_for_url("**/concepts*")
        assert page.locator("h1").inner_text().startswith("Concepts")
        page.locator("input.md-search__input").focus()
        page.locator(".md-search-result__meta", has_text="Type to start searching").wait_for(state="attached")
        page.locator("input.md-search__input").press_sequentially("max_gap_s")  # which the page hears by its keys
        found = page.locator("a.md-search-result__link[href*='settings.html']")
        found.first.wait_for(state="attached")
        browser.close()
    assert problems == []


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (documents.ROOT / "README.md").read_text(encoding="utf-8")
    links = [one for one in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", one)]
    assert links
    assert [one for one in links if not (documents.ROOT / one.partition("#")[0]).exists()] == []
