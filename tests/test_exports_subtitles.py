"""Subtitles that any player shows: well-formed, sorted, never two cues at once, and true to the detections."""

from __future__ import annotations

import html
import itertools
import re
from pathlib import Path

import pytest
from exported import SHOTS, detections, read, text_of, written
from hypothesis import given, settings
from program import ffmpeg, need_ffmpeg

from tal.exports import Video
from tal.exports._cues import MOST_LINES, cues
from tal.types import Detection, Segment

CUE = re.compile(
    r"(\d+)(?::[ d\d]*)?\n(\d+):(\d\d):(\d\d)[.,](\d{3}) --> (\d+):(\d\d):(\d\d)[.,](\d{3})[^\n]*\n(.+)", re.DOTALL
)
Parsed = list[tuple[int, int, int, list[str]]]


def parsed(text: str) -> Parsed:
    """Read SRT, or VTT behind its header, as simple players do: number, start and end in ms, lines."""
    found = []
    for block in filter(None, text.removeprefix("WEBVTT\n\n").split("\n\n")):
        match = CUE.fullmatch(block.rstrip("\n"))
        assert match, block
        h, m, s, ms, h2, m2, s2, ms2 = map(int, match.groups()[1:9])
        start, end = ((h * 60 + m) * 60 + s) * 1000 + ms, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2
        found.append((int(match[1]), start, end, match[10].split("\n")))
    return found


def check(found: Parsed) -> None:
    assert [number for number, *_ in found] == list(range(1, len(found) + 1))
    assert all(start < end for _, start, end, _ in found)
    assert all(before[2] <= after[1] for before, after in itertools.pairwise(found))
    assert all(1 <= len(lines) <= MOST_LINES for *_, lines in found)


def test_overlapping_detections_share_cues() -> None:
    found = parsed(text_of("srt", Video("v", SHOTS)))
    throw = 'Throw ‹b›&"it\'s" 0.9'
    assert found == [
        (1, 1000, 1400, ["Run 0.5"]),
        (2, 1400, 2000, [throw, "Run 0.5"]),
        (3, 2000, 2200, [throw, "Run 0.5", "Run 0.25"]),
        (4, 2200, 2400, ["Run 0.5", "Run 0.25"]),
        (5, 2400, 3000, ["Run 0.5"]),
        (6, 3000, 4000, ["Run 0.125"]),
    ]


def test_the_same_cues_as_vtt() -> None:
    text = text_of("vtt", Video("v", SHOTS))
    assert text.startswith("WEBVTT\n\n1: d1\n00:00:01.000 --> 00:00:01.400 line:0 position:0% align:start\n")
    plain = [(*cue[:3], [html.unescape(re.sub("<[^>]*>", "", line)) for line in cue[3]]) for cue in parsed(text)]
    other = parsed(text_of("srt", Video("v", SHOTS)))
    assert [(*cue[:3], [line.translate({0x2039: "<", 0x203A: ">"}) for line in cue[3]]) for cue in other] == plain


@settings(max_examples=100, deadline=None)
@given(found=detections(most=20))
def test_cues_show_the_strongest_of_every_moment(found: tuple[Detection, ...]) -> None:
    for name in ("srt", "vtt"):
        check(parsed(text_of(name, Video("v", found))))
    shown = list(cues(found))
    spans = [(round(1000 * d.segment.start_s), round(1000 * d.segment.end_s)) for d in found]
    spans = [(start, max(end, start + 1)) for start, end in spans]
    for time_ms in sorted({ms for span in spans for ms in span}):
        active = {i for i, (start, end) in enumerate(spans) if start <= time_ms < end}
        cue = next((c for c in shown if c.start_ms <= time_ms < c.end_ms), None)
        visible = set(cue.shown) if cue else set()
        assert visible <= active and len(visible) == min(len(active), MOST_LINES)
        weakest = min((found[i].score for i in visible), default=0)
        assert all(found[i].score <= weakest for i in active - visible)


def test_many_at_once_stay_few_lines_and_few_cues() -> None:
    crowd = tuple(Detection("Run", Segment(i / 100, 60 + i / 100), i / 1000) for i in range(1000))
    found = parsed(text_of("srt", Video("v", crowd)))
    check(found)
    assert len(found) <= 2 * len(crowd)


def test_labels_cannot_break_out() -> None:
    evil = Detection("a\n\n2\n00:00:00,000 --> 00:00:09,000\n{\\an8}<i>x", Segment(0, 1), 1.0)
    assert parsed(text_of("srt", Video("v", (evil,)))) == [
        (1, 0, 1000, ["a 2 00:00:00,000 --› 00:00:09,000 (\\an8)‹i›x 1"])
    ]
    (cue,) = parsed(text_of("vtt", Video("v", (evil,))))
    assert "-->" not in cue[3][0] and "<i>" not in cue[3][0]


@pytest.mark.ffmpeg
@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_ffmpeg_reads_them(name: str, tmp_path: Path) -> None:
    need_ffmpeg()
    path = written(name, SHOTS, tmp_path)
    theirs = parsed(ffmpeg("-i", path, "-f", "srt", "-").decode().replace("\r", ""))
    ours = parsed(text_of("srt", Video("v", SHOTS)))
    assert [cue[:3] for cue in theirs] == [cue[:3] for cue in ours]
    assert [len(cue[3]) for cue in theirs] == [len(cue[3]) for cue in ours]
    assert "Run 0.25" in theirs[2][3]


def test_vtt_of_others(tmp_path: Path) -> None:
    path = tmp_path / "match_1.vtt"
    path.write_text(
        "\ufeffWEBVTT - made by hand\r\nKind: captions\r\n\r\n"
        "STYLE\r\n::cue { color: red }\r\n\r\nNOTE a comment\r\n\r\n"
        "01:02.500 --> 01:04.000 align:start\r\n<v Ann>High jump &amp; run</v>\r\n\r\n"
        "second\r\n01:00:00.000 --> 01:00:01.250\r\nRun\r\nThrow\r\n"
    )
    found = read("vtt", path)["match_1"].instances
    assert [(i.label, i.segment.start_s, i.segment.end_s) for i in found] == [
        ("High jump & run", 62.5, 64.0),
        ("Run", 3600.0, 3601.25),
        ("Throw", 3600.0, 3601.25),
    ]


def test_wrong_vtt(tmp_path: Path) -> None:
    path = tmp_path / "v.vtt"
    for text, message in (
        ("1\n00:00:01,000 --> 00:00:02,000\nRun\n", "not WebVTT, it does not begin with WEBVTT; check which format"),
        ("WEBVTT\n\n00:01 --> 00:02\nRun\n", "block 1: not the times of a cue: '00:01 --> 00:02'; write 00:00:01.000"),
        ("WEBVTT\n\n00:02.000 --> 00:01.000\nRun\n", r"block 1: ends \(1 s\) before it starts \(2 s\)"),
    ):
        path.write_text(text)
        with pytest.raises(Exception, match=message):
            read("vtt", path)
