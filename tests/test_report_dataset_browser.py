"""The overview in Chromium: its lists sort, filter and lead to videos, its charts speak, and no label is ever code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Shown, opened
from overviewed import N_VIDEOS, QUIET, SETTINGS, made_up, run_folder, written
from reported import HOSTILE

from tal.annotations import Truth
from tal.evaluation import evaluate
from tal.results import Results

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    return written(folder, *made_up(), run_folder(folder))


@pytest.fixture(scope="module")
def still(chromium: Any, report: Path) -> Iterator[Shown]:
    """The open report, for tests that leave it as it was."""
    with opened(chromium, report) as shown:
        yield shown


def videos(shown: Shown) -> Any:
    return shown.page.get_by_role("group", name="Videos", exact=True).locator("tbody tr")


def first_names(shown: Shown, n: int = 3) -> list[str]:
    return [text.split("\n")[0] for text in videos(shown).locator("th").all_inner_texts()[:n]]


def sort_by(shown: Shown, title: str) -> str:
    """Click on a title of the list of videos; return how its column is sorted now."""
    head = shown.page.get_by_role("group", name="Videos", exact=True).locator("th", has_text=title)
    head.locator("button").click()
    return str(head.get_attribute("aria-sort"))


def test_the_list_of_videos_sorts(chromium: Any, report: Path) -> None:
    with opened(chromium, report) as shown:
        assert first_names(shown) == ["clip 0", "clip 1", "clip 2"]
        assert sort_by(shown, "Video") == "descending"
        assert first_names(shown, 2) == ["clip 59", "clip 58"]
        assert [sort_by(shown, "Recall") for _ in range(2)] == ["descending", "ascending"]
        assert first_names(shown) == ["clip 7", "clip 0", "clip 1"]
        assert sort_by(shown, "Best score") == "descending"
        assert first_names(shown) == ["clip 59", "clip 58", "clip 57"]
        assert sort_by(shown, "Best score") == "ascending"
        shown.page.get_by_role("button", name="Show all").click()
        assert videos(shown).count() == N_VIDEOS
        assert videos(shown).last.locator("th").inner_text().startswith("clip 7")  # without a score it is always last


def test_the_list_of_videos_is_paged_and_filtered(chromium: Any, report: Path) -> None:
    with opened(chromium, report) as shown:
        card = shown.page.locator("section", has=shown.page.get_by_role("heading", name="Videos", exact=True))
        assert videos(shown).count() == 25
        assert card.get_by_role("button", name="Previous").is_disabled()
        for said in ("26–50 of 60 videos", "51–60 of 60 videos"):
            card.get_by_role("button", name="Next").click()
            assert card.get_by_role("status").inner_text() == said
        assert card.get_by_role("button", name="Next").is_disabled()
        card.get_by_role("searchbox").fill("CLIP 1")
        assert first_names(shown, 99) == ["clip 1", *(f"clip {i}" for i in range(10, 20))]
        card.get_by_label("Class").select_option("jump")
        assert first_names(shown, 99) == ["clip 1", *(f"clip {i}" for i in range(11, 20, 2))]
        card.get_by_role("searchbox").fill("nowhere")
        assert card.get_by_role("status").inner_text() == "no video fits"
        card.get_by_role("searchbox").fill("")
        card.get_by_label("Show").select_option(label="without detections")
        assert videos(shown).locator("th").all_inner_texts() == [f"clip 7\n{QUIET}"]


def test_a_name_leads_to_its_video_and_back_to_the_list_as_it_was(chromium: Any, report: Path) -> None:
    with opened(chromium, report) as shown:
        sort_by(shown, "Duration")
        shown.page.get_by_role("searchbox").fill("clip 4")
        before = first_names(shown, 99)
        assert before[0] == "clip 49"
        shown.page.get_by_role("link", name="clip 42", exact=True).click()
        shown.until("document.title === 'clip 42 · A data set'")
        assert shown.page.locator("h1").inner_text() == "clip 42"
        shown.page.go_back()
        shown.until("document.title === 'A data set'")
        assert first_names(shown, 99) == before
        assert shown.page.get_by_role("searchbox").input_value() == "clip 4"


def test_scores_are_those_of_the_evaluation(still: Shown) -> None:
    results, truth = made_up()
    evaluation = evaluate(results, truth, SETTINGS)
    assert still.page.locator(".ds-tile").first.inner_text() == f"{100 * evaluation.map[1]:.1f}%\nmAP at tIoU 0.5"
    row = still.page.locator(".ds-scores tbody tr").first.locator("td").all_inner_texts()
    assert row == [f"{100 * v:.1f}" for v in (*evaluation.map, evaluation.average)]
    classes = still.page.get_by_role("group", name="Classes", exact=True).locator("tbody tr")
    for n, chosen in enumerate(SETTINGS.tiou):
        still.page.get_by_label("tIoU", exact=True).select_option(str(chosen))
        ap = {row.locator("th").inner_text(): row.locator("td").first.inner_text() for row in classes.all()}
        assert ap == {label: f"{100 * evaluation.ap[k, n]:.1f}" for k, label in enumerate(evaluation.classes)}
    assert evaluation.map[2] < evaluation.map[1]
    still.page.get_by_label("tIoU", exact=True).select_option("0.5")


def test_a_picked_class_is_drawn_out(still: Shown) -> None:
    evaluation = evaluate(*made_up(), SETTINGS)
    jump = still.page.locator(".ds-pick", has_text="jump")
    plot = still.page.get_by_role("img", name="Precision over recall")
    before = plot.locator("canvas").evaluate("canvas => canvas.toDataURL()")
    jump.focus()
    still.page.keyboard.press("Enter")
    assert jump.get_attribute("aria-pressed") == "true"
    assert jump.evaluate("button => button === document.activeElement")
    assert f"jump {100 * evaluation.ap[1, 1]:.1f} %" in str(plot.get_attribute("aria-label"))
    assert plot.locator("canvas").evaluate("canvas => canvas.toDataURL()") != before
    plot.hover()
    still.drawn()
    told = still.page.locator(".ds-beside .ds-told")
    assert told.inner_text().startswith("recall ")
    jump.click()
    assert jump.get_attribute("aria-pressed") == "false"
    assert "jump" not in str(plot.get_attribute("aria-label"))


def test_charts_have_tables_and_charts_follow_the_theme(chromium: Any, report: Path) -> None:
    with opened(chromium, report, color_scheme="light") as shown:
        for name in ("Detections by kind and rank", "Detections by score", "Losses of network flow"):
            assert shown.page.get_by_role("group", name=name).count() == 0
        shown.unfold()
        counts = shown.page.get_by_role("group", name="Detections by score").locator("tbody td:nth-child(2)")
        assert sum(map(int, counts.all_inner_texts())) == N_VIDEOS - 1
        losses = shown.page.get_by_role("group", name="Losses of network flow").locator("tbody tr")
        assert losses.first.locator("th, td").all_inner_texts() == ["20", "1", "0.001", "0.01"]
        assert losses.last.locator("td").last.inner_text() == "0.001"  # the learning rate falls at half of 600 updates
        told = shown.page.get_by_role("img", name="Losses of network flow").locator("canvas")
        before = told.evaluate("canvas => canvas.toDataURL()")
        shown.page.locator("#theme").click()
        assert told.evaluate("canvas => canvas.toDataURL()") != before


def luminance(rgb: str) -> float:
    """Return the relative luminance of ``rgb(r, g, b)`` (WCAG 2.1)."""
    parts = [int(v) / 255 for v in rgb.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_figures_on_coloured_bars_can_be_read(still: Shown) -> None:
    read = "parts => parts.map(part => [getComputedStyle(part).color, getComputedStyle(part).backgroundColor])"
    pairs = still.page.locator(".ds-stack span").evaluate_all(read)
    assert len({tuple(pair) for pair in pairs}) == 6
    for pair in pairs:
        low, high = sorted(map(luminance, pair))
        assert (high + 0.05) / (low + 0.05) >= 4.5, pair


def test_names_and_labels_are_never_code(chromium: Any, tmp_path: Path) -> None:
    results, truth = made_up(HOSTILE)
    by_video = {HOSTILE if name == "clip 0" else name: listed for name, listed in results.by_video.items()}
    real = {HOSTILE if name == "clip 0" else name: one for name, one in truth.videos.items()}
    odd = Results(by_video, {**results.provenance, "empty": {"clip 7": HOSTILE}, HOSTILE: HOSTILE})
    path = written(tmp_path, odd, Truth(real), run_folder(tmp_path, HOSTILE))
    with opened(chromium, path) as shown:
        shown.unfold()
        shown.page.locator(".ds-pick").first.click()
        shown.page.locator(".ds-pick").last.click()
        shown.page.get_by_role("searchbox").fill("<script>alert(1)")
        assert videos(shown).count() == 1
        assert shown.page.locator("main img[src], main script").count() == 0
        shown.page.get_by_role("link", name=HOSTILE.replace("\u2028", " ")).first.click()
        shown.until("location.hash.startsWith('#/video/')")
        assert shown.js("document.querySelector('h1').textContent") == HOSTILE


def test_without_truth_there_are_counts(chromium: Any, tmp_path: Path) -> None:
    path = written(tmp_path, made_up()[0], None)
    with opened(chromium, path) as shown:
        headings = ["Videos", "Classes", "Scores and lengths", "Provenance and settings"]
        assert shown.page.locator("h2").all_inner_texts() == headings
        titles = shown.page.get_by_role("group", name="Videos", exact=True).locator("thead th").all_inner_texts()
        assert [title.strip() for title in titles] == ["Video", "Duration", "Detections", "Best score"]
        tiles = shown.page.locator(".ds-tile").all_inner_texts()
        assert {"59\ndetections", "1\nvideos without a detection"} <= set(tiles)
        assert "mAP" not in shown.page.locator("main").inner_text()


def test_a_phone_scrolls_one_way(chromium: Any, report: Path) -> None:
    with opened(chromium, report, viewport={"width": 360, "height": 740}, color_scheme="dark") as shown:
        shown.unfold()
        assert shown.js("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        widths = shown.page.locator(".ds-plot canvas").evaluate_all("all => all.map(one => one.clientWidth)")
        assert len(widths) == 6
        assert all(200 < width < 360 for width in widths)
