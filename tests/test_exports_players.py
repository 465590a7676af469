"""A browser as player: it reads the subtitles as written, and plays the clips for as long as they should last."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import clips
import pytest
from browser import new_page
from exported import SHOTS, text_of

from extract.clips import cut, probe
from tal.exports import Video
from tal.exports._cues import cues
from tal.types import Segment

pytestmark = pytest.mark.chromium
CUES = """() => [...document.querySelector('track').track.cues].map(
    cue => [cue.id, cue.startTime, cue.endTime, cue.line, cue.getCueAsHTML().textContent])"""
PLAYED = """async () => {
    const video = document.querySelector('video');
    const ended = new Promise(done => video.addEventListener('ended', done));
    await new Promise((done, fail) => {
        video.addEventListener('canplaythrough', done);
        video.addEventListener('error', () => fail(video.error.message));
        video.load();
    });
    const told = [video.duration, video.videoWidth, video.videoHeight];
    video.muted = true;
    video.playbackRate = 4;
    await video.play();
    await ended;
    return [...told, video.currentTime];
}"""


def test_a_browser_reads_the_cues(chromium: Any) -> None:
    page = new_page(chromium)
    written = base64.b64encode(text_of("vtt", Video("v", SHOTS)).encode()).decode()
    page.set_content(f'<video><track default src="data:text/vtt;base64,{written}"></video>')
    page.wait_for_function("document.querySelector('track').readyState == 2")
    shown = page.evaluate(CUES)
    page.close()
    expected = list(cues(SHOTS))
    assert [(start, end) for _, start, end, *_ in shown] == [(c.start_ms / 1000, c.end_ms / 1000) for c in expected]
    assert {line for *_, line, _ in shown} == {0}
    assert shown[2][-1].split("\n") == ['Throw <b>&"it\'s" 0.9', "Run 0.5", "Run 0.25"]


@pytest.mark.parametrize("how", ["exact", "copy"])
def test_a_browser_plays_clips_to_their_end(chromium: Any, tmp_path: Path, how: Any) -> None:
    source = clips.write(tmp_path / "turned.mp4", range(100), rotation=90)
    made = cut(probe(source), tmp_path / "clip", Segment(0.96, 2.01), how)
    (tmp_path / "page.html").write_text('<video src="clip.mp4"></video>')
    page = new_page(chromium)
    page.goto((tmp_path / "page.html").as_uri())
    length_s, width, height, played_s = page.evaluate(PLAYED)
    page.close()
    assert (width, height) == (120, 160)
    assert length_s == pytest.approx(made.segment.duration_s, abs=2e-3)
    assert played_s == pytest.approx(length_s, abs=2e-3)
