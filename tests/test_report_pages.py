"""The report in Chromium: hostile names, phones, colours, screen readers, and the ways between pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import reported
from browser import Shown, opened
from reported import DURATION_S, HOSTILE, NOW, page, timeline

from tal.timelines import Timeline
from tal.types import Detection, Segment

pytestmark = pytest.mark.chromium
one = reported.one  # a fixture


def test_names_and_labels_with_html_do_nothing(chromium: Any, tmp_path: Path) -> None:
    hostile = timeline(HOSTILE, labels=(HOSTILE, "b"))
    with opened(chromium, page(tmp_path, hostile, title=HOSTILE)) as shown:
        assert shown.page.title() == f"{HOSTILE} · {HOSTILE}"
        assert shown.page.locator("h1").text_content() == HOSTILE
        assert shown.page.locator(".lane-label").first.text_content() == HOSTILE
        assert shown.page.locator("img").count() == 0
        shown.page.keyboard.press("n")
        shown.until("document.querySelector('.moment .chip')")


def test_other_scripts_do_not_run(chromium: Any, one: Path, tmp_path: Path) -> None:
    """The policy holds even where escaping would not: a script put into the file is not one of the page's."""
    path = tmp_path / "report.html"
    path.write_text(one.read_text().replace("</body>", "<script>window.intruder = 1</script></body>"))
    with opened(chromium, path) as shown:
        shown.drawn()
        assert shown.js("window.intruder") is None
        assert len(shown.problems) == 1
        assert "Content Security Policy" in shown.problems.pop()


def test_a_phone_needs_no_sideways_scrolling(chromium: Any, tmp_path: Path) -> None:
    long = timeline("a_name_" * 20, labels=("Label" * 30, "throw"))
    screen = {"width": 360, "height": 740}
    with opened(chromium, page(tmp_path, long), viewport=screen, has_touch=True, is_mobile=True) as shown:
        assert shown.js("document.documentElement.scrollWidth") == 360
        box = shown.page.locator(".lane canvas").first.bounding_box()
        assert box["width"] > 300
        shown.page.locator(".lane canvas").first.scroll_into_view_if_needed()
        box = shown.page.locator(".lane canvas").first.bounding_box()
        shown.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 10)
        shown.drawn()
        assert shown.js(NOW) == pytest.approx(30, abs=0.5)


def _contrasts(shown: Shown) -> list[tuple[str, float]]:
    return shown.js("""() => {
        const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const light = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
        const rgb = (name) => { const hex = tal.css(name).slice(1); return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)); };
        const ratio = (a, b) => { const [x, y] = [light(rgb(a)), light(rgb(b))].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
        const inks = ["--text", "--muted", "--accent", "--detection", "--truth", "--warn", "--good", "--attention"];
        const series = Array.from({ length: 8 }, (_, i) => `--series-${i + 1}`);
        return [...inks, ...series].flatMap((ink) => ["--bg", "--surface", "--raised"].map((ground) => [`${ink} on ${ground}`, ratio(ink, ground)]));
    }""")  # noqa: E501


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_have_contrast(chromium: Any, one: Path, scheme: str) -> None:
    with opened(chromium, one, color_scheme=scheme) as shown:
        assert shown.js("document.documentElement.dataset.theme") == scheme
        assert [pair for pair, ratio in _contrasts(shown) if ratio < 4.5] == []
        other = "dark" if scheme == "light" else "light"
        shown.page.get_by_role("button", name=f"Switch to {other} colours").click()
        assert shown.js("document.documentElement.dataset.theme") == other
        shown.page.reload()
        assert shown.js("document.documentElement.dataset.theme") == other  # it is remembered


def test_everything_that_can_be_used_has_a_name(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        nameless = shown.js("""() => [...document.querySelectorAll("button, a, input, select, canvas, [role]")]
            .filter((e) => !e.closest("[hidden]") && !e.closest(".chart") && e.id !== "status"
                && !(e.getAttribute("aria-label") || e.textContent.trim() || e.closest("label")?.textContent.trim()))
            .map((e) => e.outerHTML)""")
        assert nameless == []
        slider = shown.page.get_by_role("slider", name="Position in the video")
        shown.js("tal.shown.player.seek(30)")
        shown.until("document.querySelector('.ruler canvas').getAttribute('aria-valuenow') === '30.0'")
        assert slider.get_attribute("aria-valuetext") == "0:30.0 of 1:00.0"


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ("first", "50% off #2?", "a/b\\c")
    empty = Timeline("nothing", 12.0, reason="no class reached the score 0.1")
    folder = tmp_path_factory.mktemp("several")
    return page(folder, *(replace(timeline(name), curves={}) for name in names), empty)


def test_pages_of_several_videos_are_reached_by_links(chromium: Any, several: Path) -> None:
    with opened(chromium, several) as shown:
        links = [a.get_attribute("href") for a in shown.page.locator("main a[href^='#/video/']").all()]
        there = {
            "#/video/first": "first",
            "#/video/50%25%20off%20%232%3F": "50% off #2?",
            "#/video/a%2Fb%5Cc": "a/b\\c",
        }
        assert there.keys() <= set(links)
        for link, name in there.items():
            shown.js("hash => (location.hash = hash)", link)
            shown.until(f"document.querySelector('h1').textContent === {name!r}")
        shown.page.get_by_role("link", name="Next video").click()
        shown.until("document.querySelector('h1').textContent === 'nothing'")
        assert "no class reached the score 0.1" in shown.page.locator(".lanes").inner_text()
        shown.page.go_back()
        shown.until("document.querySelector('h1').textContent.startsWith('a/b')")


@pytest.mark.parametrize("route", ["#/video/unknown", "#/video/%E0%A4%A"])
def test_an_unknown_video_is_said_to_be_so(chromium: Any, several: Path, route: str) -> None:
    with opened(chromium, several, route) as shown:
        assert shown.page.locator("h1").inner_text() == "No such video"


def test_thousands_of_detections_are_listed_in_parts(chromium: Any, tmp_path: Path) -> None:
    found = tuple(Detection("jump", Segment(k / 50, k / 50 + 1), 1 - k / 4000) for k in range(2000))
    with opened(chromium, page(tmp_path, Timeline("dense", DURATION_S, found))) as shown:
        assert shown.page.locator(".found .go").count() == 100
        shown.page.get_by_role("button", name="Show 400 more").click()
        assert shown.page.locator(".found .go").count() == 500


def test_a_video_that_cannot_be_played_gives_way_to_the_clock(chromium: Any, tmp_path: Path) -> None:
    source = tmp_path / "broken.avi"
    source.write_bytes(b"no video at all")
    with opened(chromium, page(tmp_path, timeline(source=source))) as shown:
        shown.page.locator(".screen.without").wait_for()
        assert "broken.avi cannot be played here." in shown.page.locator(".screen").inner_text()
        shown.page.keyboard.press("n")
        assert shown.js(NOW) == 10
