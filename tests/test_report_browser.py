"""The report in Chromium, opened from disk: it seeks, filters, obeys keys, plays, and runs nothing but its own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import reported
from browser import Shown, opened
from reported import DURATION_S, NOW, film, page, timeline

from tal.timelines import Timeline
from tal.types import Detection, Segment

pytestmark = pytest.mark.chromium
one = reported.one  # a fixture


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a video, beside it, in a folder whose name needs quoting."""
    folder = tmp_path_factory.mktemp("played #1 %41 'é'")
    return page(folder, timeline(source=film(folder / "a film?.mp4", seconds=60)))


def rows(shown: Shown) -> list[str]:
    """Return the times that the table of detections shows."""
    return [text.split(" – ")[0] for text in shown.page.locator(".found .go").all_inner_texts()]


def lane(shown: Shown, label: str) -> Any:
    return shown.page.locator(".lane canvas").and_(shown.page.locator(f"[aria-label^='{label}:']"))


def told_at(shown: Shown, x: float, y: float) -> str:
    """Move the pointer there; return the words beside it."""
    shown.page.mouse.move(x, y)
    shown.drawn()
    return str(shown.page.locator(".tip").inner_text()) if shown.page.locator(".tip").is_visible() else ""


def test_a_single_video_opens_at_once_and_says_what_there_is(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        assert shown.page.title() == "games · A report"
        assert shown.page.locator("h1").inner_text() == "games"
        assert "1:00.0 · 4 detections · 3 true instances" in shown.page.locator(".title p").inner_text()
        names = [canvas.get_attribute("aria-label") for canvas in shown.page.locator(".lane canvas").all()]
        assert names == [
            "jump: 2 detections shown, best 0.90; 2 true instances",
            "throw: 2 detections shown, best 0.60; 1 true instance",
        ]


def test_a_click_on_a_lane_seeks_and_chooses_the_detection_there(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        box = lane(shown, "throw").bounding_box()
        shown.page.mouse.click(box["x"] + box["width"] * 32 / DURATION_S, box["y"] + box["height"] / 2)
        shown.drawn()
        assert shown.js(NOW) == pytest.approx(32, abs=0.2)
        assert shown.js("tal.shown.view.chosen.score") == 0.6
        assert shown.page.locator(".curves h2").inner_text() == "throw"
        at = shown.page.locator(".overlay .playhead").bounding_box()
        assert at["x"] + 1 == pytest.approx(box["x"] + box["width"] * 32 / DURATION_S, abs=2)
        shown.until("document.querySelectorAll('.moment .chip').length === 2")
        assert shown.page.locator(".moment .chip").all_inner_texts() == ["throw\n0.60", "truth: throw"]


def test_a_drag_scrubs(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        box, mouse = lane(shown, "jump").bounding_box(), shown.page.mouse
        mouse.move(box["x"] + 10, box["y"] + 5)
        mouse.down()
        mouse.move(box["x"] + box["width"] / 2, box["y"] + 5, steps=3)
        shown.until(f"Math.abs({NOW} - 30) < 0.2")
        mouse.up()
        mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 5)
        shown.drawn()
        assert shown.js(NOW) == pytest.approx(30, abs=0.2)


def test_hovering_tells_what_is_there(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        box = lane(shown, "jump").bounding_box()
        text = told_at(shown, box["x"] + box["width"] * 12 / DURATION_S, box["y"] + 20)
        assert "jump" in text
        assert "detection 0.90 · 0:10.0 – 0:16.0 · tIoU 0.83" in text  # 5 s shared of 6
        assert "truth · 0:10.0 – 0:15.0" in text
        assert "no pictures for 2.00 s" in told_at(shown, box["x"] + box["width"] * 21 / DURATION_S, box["y"] + 20)
        assert told_at(shown, 2, 2) == ""


def test_the_score_slider_filters_lanes_and_table(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        slider = shown.page.locator(".threshold input")
        slider.fill("100")  # halfway from 0.1 to 0.9
        assert shown.page.locator(".threshold output").inner_text() == "≥ 0.50"
        shown.until("document.querySelectorAll('.found .go').length === 2")
        assert rows(shown) == ["0:10.0", "0:30.0"]
        assert shown.page.locator(".found .head .small").inner_text() == "2 of 4 detections"
        assert lane(shown, "jump").get_attribute("aria-label").startswith("jump: 1 detection shown")
        slider.fill("0")
        shown.until("document.querySelectorAll('.found .go').length === 4")


def test_classes_can_be_left_out_and_found(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        shown.page.locator(".menu summary").click()
        shown.page.locator(".choice", has_text="throw").get_by_role("checkbox").uncheck()
        shown.drawn()
        assert shown.page.locator(".lane").count() == 1
        assert rows(shown) == ["0:10.0", "0:40.0"]
        assert shown.page.locator(".menu summary").inner_text() == "1 of 2 classes"
        shown.page.get_by_role("button", name="None", exact=True).click()
        assert shown.page.locator(".lanes .empty").inner_text() == "No class is chosen."


def test_the_table_sorts_and_seeks(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        assert rows(shown) == ["0:10.0", "0:30.0", "0:40.0", "0:50.0"]
        shown.page.get_by_role("button", name="tIoU", exact=True).click()
        # Overlaps: 5 of 6 s, 3 of 4 s, none, none.
        assert shown.page.locator(".found td:last-child").all_inner_texts() == ["0.83", "0.75", "0.00", "0.00"]
        assert shown.page.locator("th[aria-sort=descending]").inner_text().startswith("tIoU")
        shown.page.locator(".found .go").nth(1).click()
        assert shown.js(NOW) == 30


def test_keys_seek_step_zoom_and_explain_themselves(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        press = shown.page.keyboard.press
        visited = []
        for key in "nnnnnp":
            press(key)
            visited.append(shown.js(NOW))
        assert visited == [10, 30, 40, 50, 10, 50]  # behind the last comes the first
        shown.until("document.getElementById('status').textContent === 'throw, 0:50.0 to 0:55.0, score 0.10'")
        press("Home")
        press("ArrowRight")
        press("Shift+ArrowRight")
        press("ArrowLeft")
        assert shown.js(NOW) == 5
        press("+")
        assert shown.js("tal.shown.view.to - tal.shown.view.from") == pytest.approx(DURATION_S / 1.6)
        press("0")
        assert shown.js("[tal.shown.view.from, tal.shown.view.to]") == [0, DURATION_S]
        press("?")
        assert shown.page.get_by_role("dialog", name="Keys").is_visible()
        press("Escape")
        shown.drawn()
        assert not shown.page.get_by_role("dialog", name="Keys").is_visible()
        dark = shown.js("document.documentElement.dataset.theme")
        press("t")
        assert shown.js("document.documentElement.dataset.theme") != dark


def test_keys_that_a_control_needs_are_left_to_it(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        shown.page.locator(".threshold input").focus()
        shown.page.keyboard.press("ArrowRight")
        assert shown.js("tal.shown.view.min") == pytest.approx(0.104)
        assert shown.js(NOW) == 0
        shown.page.get_by_role("button", name="Zoom in").focus()
        shown.page.keyboard.press(" ")
        assert shown.js("tal.shown.player.paused") is True
        assert shown.js("tal.shown.view.zoomed") is True


def test_the_wheel_zooms_about_the_pointer(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        box = shown.page.locator(".ruler canvas").bounding_box()
        shown.page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 5)
        shown.page.mouse.wheel(0, -200)
        shown.until("tal.shown.view.zoomed")
        first, last = shown.js("[tal.shown.view.from, tal.shown.view.to]")
        assert last - first < DURATION_S
        assert first + (last - first) / 4 == pytest.approx(15, abs=0.1)


def test_what_is_zoomed_can_be_moved(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        slider = shown.page.get_by_role("slider", name="Part of the video that is shown")
        assert not slider.is_visible()
        for _ in range(3):
            shown.page.get_by_role("button", name="Zoom in").click()
        slider.fill("1000")
        first, last = shown.js("[tal.shown.view.from, tal.shown.view.to]")
        assert last == DURATION_S
        assert last - first == pytest.approx(DURATION_S / 1.6**3)
        shown.page.get_by_role("button", name="Whole video").click()
        assert not slider.is_visible()


def test_of_nested_detections_the_inner_one_is_in_front(chromium: Any, tmp_path: Path) -> None:
    nested = (Detection("a", Segment(0, 50), 0.9), Detection("a", Segment(20, 30), 0.2))
    with opened(chromium, page(tmp_path, Timeline("v", DURATION_S, nested))) as shown:
        box = lane(shown, "a").bounding_box()
        chosen = []
        for t in (25, 40):
            shown.page.mouse.click(box["x"] + box["width"] * t / DURATION_S, box["y"] + box["height"] / 2)
            chosen.append(shown.js("tal.shown.view.chosen.score"))
        assert chosen == [0.2, 0.9]


def test_without_a_video_a_clock_runs(chromium: Any, one: Path) -> None:
    with opened(chromium, one) as shown:
        assert "No video file was at hand" in shown.page.locator(".screen").inner_text()
        shown.js("tal.shown.player.rate(0.1)")  # so that its end is far
        shown.page.keyboard.press(" ")
        shown.until(f"{NOW} > 0.1")
        shown.page.get_by_role("button", name="Pause").click()
        held = shown.js(NOW)
        assert shown.page.locator(".screen .big").inner_text() == shown.js(f"tal.clock({held})")


def test_a_linked_video_shows_the_time_it_is_asked_for(chromium: Any, played: Path) -> None:
    with opened(chromium, played) as shown:
        shown.until("tal.shown.player.video.readyState >= 1")
        assert shown.js("tal.shown.player.video.videoWidth") == 128
        shown.js("tal.shown.player.seek(45)")
        shown.until("!tal.shown.player.video.seeking && tal.shown.player.video.readyState >= 2")
        level = shown.js(
            "(() => { const c = document.createElement('canvas').getContext('2d');"
            "c.drawImage(tal.shown.player.video, 0, 0); try { return c.getImageData(9, 9, 1, 1).data[0] }"
            " catch { return -1 } })()"
        )
        assert level == -1 or level == pytest.approx(255 * 45 / 60, abs=12)  # files may not be looked into
        assert shown.page.locator(".strip canvas").get_attribute("aria-label") == "40 pictures of the video"
        shown.page.keyboard.press(" ")
        shown.until(f"{NOW} > 45.1")


def test_an_embedded_video_plays_without_its_file(chromium: Any, tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", seconds=20)
    path = page(tmp_path, timeline(source=source), embed=True)
    source.unlink()
    with opened(chromium, path) as shown:
        shown.until("tal.shown.player.video.readyState >= 1")
        assert shown.js("tal.shown.player.video.src").startswith("blob:")
        shown.js("tal.shown.player.seek(12)")
        shown.until("!tal.shown.player.video.seeking")
        assert shown.js(NOW) == 12
