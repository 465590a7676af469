"""What is exported comes back: every format that is read, all labels, all times to its own unit."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from exported import FPS, MEDIA, READABLE, SHOTS, detections, read, text_of, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tal import exports
from tal.annotations import VideoTruth
from tal.errors import ConfigError, InputError
from tal.exports import ExportOptions, Media, Video, choose
from tal.results import Results
from tal.types import Detection, Segment

FRAMES = ("cvat", "label-studio")
quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def as_counted(found: tuple[Detection, ...], tidy: bool) -> Counter[tuple[str, int, int]]:
    """Count labels with their times in ms; `tidy` is what formats of lines do to a label and to empty segments."""
    clean = [
        (" ".join(re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f￾￿]", "", d.label).split()) or "?") if tidy else d.label
        for d in found
    ]
    times = [(round(1000 * d.segment.start_s), round(1000 * d.segment.end_s)) for d in found]
    return Counter((label, start, max(end, start + tidy)) for label, (start, end) in zip(clean, times, strict=True))


def counted(truth: VideoTruth) -> Counter[tuple[str, int, int]]:
    return Counter((i.label, round(1000 * i.segment.start_s), round(1000 * i.segment.end_s)) for i in truth.instances)


def test_the_folder_is_the_registry() -> None:
    assert exports.readable() == list(READABLE)
    assert set(exports.writable()) == {*READABLE, "clips", "edl", "srt"}
    assert exports.suffixes() == {".csv": "csv", ".xml": "cvat", ".eaf": "elan", ".vtt": "vtt"}


def test_unknown_formats() -> None:
    with pytest.raises(ConfigError, match=r"^unknown format 'elam'; did you mean 'elan'\?$"):
        exports.load("elam", "export")
    with pytest.raises(ConfigError, match=r"^no import of 'srt'; known for import: csv, cvat, "):
        exports.load("srt", "import")


@pytest.mark.parametrize("name", READABLE)
def test_every_readable_format_gives_back_what_was_written(name: str, tmp_path: Path) -> None:
    found = read(name, written(name, SHOTS, tmp_path))["v"]
    expected = sorted((d.label, d.segment.start_s, d.segment.end_s) for d in SHOTS)
    assert sorted((i.label, i.segment.start_s, i.segment.end_s) for i in found.instances) == expected


@pytest.mark.parametrize("name", sorted({*READABLE, "edl", "srt"}))
def test_a_video_in_which_nothing_was_found(name: str, tmp_path: Path) -> None:
    path = written(name, (), tmp_path)
    if name in READABLE and name != "csv":  # which has rows of detections only
        assert read(name, path)["v"].instances == ()


@quick
@given(found=detections(most=6))  # as many as a cue shows at a time
@pytest.mark.parametrize("name", ["elan", "vtt"])
def test_lines_keep_any_label_and_every_millisecond(name: str, tmp_path: Path, found: tuple[Detection, ...]) -> None:
    assert counted(read(name, written(name, found, tmp_path))["v"]) == as_counted(found, tidy=True)


@quick
@given(found=detections())
@pytest.mark.parametrize("name", ["fiftyone", "via"])
def test_json_keeps_any_label_and_every_millisecond(name: str, tmp_path: Path, found: tuple[Detection, ...]) -> None:
    assert counted(read(name, written(name, found, tmp_path))["v"]) == as_counted(found, tidy=False)


@quick
@given(found=detections(), rate=st.sampled_from([FPS, Fraction(30000, 1001), Fraction(10), Fraction(60)]))
@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_the_nearest_ones(name: str, tmp_path: Path, found: tuple[Detection, ...], rate: Fraction) -> None:
    plain = tuple(Detection(f"c{i}", d.segment, d.score) for i, d in enumerate(found))
    back = read(name, written(name, plain, tmp_path, Media(None, rate, 320, 240)), rate)["v"]
    by_label = {i.label: i.segment for i in back.instances}
    for detection in plain:
        segment, half = by_label.pop(detection.label), 0.5 / float(rate) + 1e-9
        assert abs(segment.start_s - detection.segment.start_s) <= half
        assert abs(segment.end_s - max(detection.segment.end_s, segment.start_s + 1 / float(rate))) <= half
    assert not by_label


@quick
@given(found=detections())
def test_csv_is_what_the_standard_reader_reads(found: tuple[Detection, ...]) -> None:
    rows = list(csv.reader(io.StringIO(text_of("csv", Video("a,\n\"b'", found)), newline="")))
    assert rows[0] == ["video", "label", "start", "end", "score"]
    expected = [("a,\n\"b'", d.label.replace("\0", "\ufffd"), d.score) for d in found]
    assert [(row[0], row[1], float(row[4])) for row in rows[1:]] == expected
    assert all(float(row[3]) == round(d.segment.end_s, 3) for row, d in zip(rows[1:], found, strict=True))


def test_frames_end_with_the_video() -> None:
    assert MEDIA.frames(Segment(1.0, 2.0)) == (25, 50)
    assert MEDIA.frames(Segment(1.0, 1.0)) == (25, 26)
    assert MEDIA.frames(Segment(39.9, 60.0)) == (998, 1000)
    assert MEDIA.frames(Segment(60.0, 70.0)) == (999, 1000)
    late = Media(None, FPS, start_s=0.2)
    assert late.frames(Segment(0.0, 0.4)) == (0, 5)


def test_who_is_chosen() -> None:
    results = Results({"v": SHOTS, "empty": ()})
    assert choose(results, ExportOptions())["v"] == SHOTS
    assert choose(results, ExportOptions(min_score=0.5))["v"] == SHOTS[:2]
    assert choose(results, ExportOptions(top=2, labels=("Run",)))["v"] == (SHOTS[0], SHOTS[2])
    assert choose(results, ExportOptions(min_score=2)) == {"v": (), "empty": ()}
    with pytest.raises(ConfigError, match=r"^--class 'Rum': no detection is of this class; did you mean 'Run'\?$"):
        choose(results, ExportOptions(labels=("Rum",)))
    with pytest.raises(ConfigError, match=r"^--top 0: write how many"):
        choose(results, ExportOptions(top=0))


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/b", "a\\b", "..", ".x", "", "a\0b", "NUL", "com1.x", "x. ", "x."]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"cannot be the name of a file; rename it in the source$"):
        exports.file_name(name)


def test_common_names_are_taken() -> None:
    for name in ("video_test_0000004", "Ünï cödé (1)", "a.b", "console"):
        assert exports.file_name(name) == name


@pytest.mark.parametrize("name", ["via", "label-studio"])
def test_files_are_named_without_folders(name: str) -> None:
    assert ".." not in text_of(name, Video("../../x", (), MEDIA)).replace('"name": "../../x"', "")


def test_fiftyone_names_classes_once() -> None:
    tree = json.loads(text_of("fiftyone", Video("b", SHOTS), Video("a", SHOTS[:1])))
    assert list(tree["labels"]) == ["b", "a"] and tree["classes"] == ["Run", SHOTS[1].label]
    assert tree["labels"]["a"] == [{"label": 0, "timestamps": [1.0, 3.0], "confidence": 0.5}]
