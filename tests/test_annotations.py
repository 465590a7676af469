"""Labels and ground truth: what the formats say."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from annotated import database, entry, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tal.annotations import Instance, Truth, VideoTruth, read_labels, read_truth
from tal.errors import AnnotationError, ConfigError
from tal.parsing import video_name
from tal.types import Segment

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# What is read


def test_csv_labels_are_gathered_per_video(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "video,label\nb.mp4,walk\na,jump\n\nb,run\nb.MP4,walk\n")
    labels = read_labels(path)
    assert labels.by_video == {"a": ("jump",), "b": ("run", "walk")}
    assert labels.classes == ("jump", "run", "walk")


def test_csv_header_may_have_capitals_blanks_other_columns_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", '\ufeffNote, Label ,VIDEO\r\nx,"throw, then run",v\r\n')
    assert read_labels(path).by_video == {"v": ("throw, then run",)}


SPREADSHEETS = {
    "semicolons": b"video;label\r\nv;throw, then run\r\nw;\r\n",
    "a byte order mark": b"\xef\xbb\xbfvideo;label\r\nv;throw, then run\r\n",
    "tabs": b"video\tlabel\nv\tthrow, then run\n",
    "empty columns at the end": b"video;label;;\nv;throw, then run;;\nw\nx;;;;;;\n;;;\n",
    "a declared separator": b"sep=;\r\nvideo;label\r\nv;throw, then run\r\n",
    "quotes": b'"video";"label"\n"v";"throw, then run"\n',
}


@pytest.mark.parametrize("content", SPREADSHEETS.values(), ids=SPREADSHEETS)
def test_csv_of_spreadsheets_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(content)
    assert read_labels(path).by_video == {"v": ("throw, then run",)}


def test_a_declared_separator_keeps_line_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "sep=^\nvideo^label\nv^x^y\n")
    with pytest.raises(AnnotationError, match=r"line 3: 3 cells under 2 columns; .* quote cells that contain '\^'"):
        read_labels(path)


def test_a_row_without_a_label_is_left_out_but_ground_truth_needs_one(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "video,label,start,end\nv,run,0,1\nw,,0,1\n")
    assert read_labels(path).by_video == {"v": ("run",)}
    with pytest.raises(AnnotationError, match="line 3: empty 'label'; write the label or remove the row"):
        read_truth(path)


@pytest.mark.parametrize(
    ("written", "name"),
    [("v.mp4", "v"), ("v.MKV", "v"), ("v.1", "v.1"), ("take.2.webm", "take.2"), (".mp4", ".mp4"), ("v", "v")],
)
def test_only_a_video_suffix_is_dropped(written: str, name: str) -> None:
    assert video_name(written) == name


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda text: text == text.strip()
)


@QUICK
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_what_a_csv_writer_writes_is_read(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "l.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("video", "label"), *rows])
    expected = {(video_name(video), label) for video, label in rows if label != "Ambiguous"}
    if expected:
        read = read_labels(path).by_video
        assert {(video, label) for video, labels in read.items() for label in labels} == expected


def test_json_times_may_be_texts_and_ambiguous_is_no_class(tmp_path: Path) -> None:
    v = entry(("run", "1.5", "2"), ("Ambiguous", 3, 4), ("jump", 5, 5), subset="test", duration="9.5")
    truth = read_truth(write(tmp_path / "t.json", database(**{"v.mp4": v})))
    instances = (Instance("run", Segment(1.5, 2)), Instance("jump", Segment(5, 5)))
    assert truth.videos == {"v": VideoTruth(9.5, "test", instances, (Segment(3, 4),))}
    assert truth.classes == ("jump", "run")


def test_a_segment_may_end_after_the_video_and_durations_may_be_unknown(tmp_path: Path) -> None:
    truth = read_truth(write(tmp_path / "t.json", database(a=entry(("x", 1, 20), duration=10), b=entry(duration=None))))
    assert truth.videos["a"].instances == (Instance("x", Segment(1, 20)),)
    assert truth.videos["b"] == VideoTruth(None, "", ())


def test_thumos14_folder_is_read_in_itself_and_one_level_below(tmp_path: Path) -> None:
    write(tmp_path / "test/Diving_test.txt", "video_test_1  0.5 2.5\nvideo_test_1.mp4 4 6\n\n")
    write(tmp_path / "test/Ambiguous_test.txt", "video_test_2  1 2\n")
    write(tmp_path / "val/Diving_val.txt", "video_validation_1 1 2\n")
    write(tmp_path / "test_durations.txt", "not read")
    truth = read_truth(tmp_path)
    assert truth.subsets == ("test", "val")
    assert [i.segment for i in truth.videos["video_test_1"].instances] == [Segment(0.5, 2.5), Segment(4, 6)]
    assert truth.videos["video_test_2"] == VideoTruth(None, "test", (), (Segment(1, 2),))
    assert set(read_truth(tmp_path / "test").videos) == {"video_test_1", "video_test_2"}
    assert read_labels(tmp_path, "val").by_video == {"video_validation_1": ("Diving",)}


def test_truth_from_csv_knows_subset_and_duration(tmp_path: Path) -> None:
    text = "video,type,start,end,subset,duration\nv,run,1,2,test,9\nv,jump,0,3,test,9\n"
    video = read_truth(write(tmp_path / "t.csv", text)).videos["v"]
    assert video == VideoTruth(9, "test", (Instance("run", Segment(1, 2)), Instance("jump", Segment(0, 3))))


# Subsets


@pytest.mark.parametrize("name", ["train", "Training"])
def test_labels_come_from_the_training_subset(tmp_path: Path, name: str) -> None:
    tree = database(a=entry(("x", 0, 1), subset=name), b=entry(("y", 0, 1), subset="validation"), c=entry(subset=name))
    path = write(tmp_path / "t.json", tree)
    assert read_labels(path).by_video == {"a": ("x",)}
    assert read_labels(path, "validation").by_video == {"b": ("y",)}


def test_weak_labels_need_no_segments(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", database(v={"annotations": [{"label": "run"}]}))
    assert read_labels(path).by_video == {"v": ("run",)}
    with pytest.raises(AnnotationError, match=r"database\.v\.annotations\[0\]: no field 'segment' \(found: label\)"):
        read_truth(path)


def test_a_subset_that_is_not_there_is_told_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", database(a=entry(subset="training"), b=entry(subset="validation")))
    with pytest.raises(ConfigError, match=r"unknown subset 'trainig'; did you mean 'training'\?"):
        read_truth(path).select("trainig")
    with pytest.raises(ConfigError) as caught:
        read_labels(path, "trainig")
    assert str(caught.value) == f"unknown subset 'trainig' of {path}; did you mean 'training'?"


def test_select_keeps_one_subset() -> None:
    a, b = VideoTruth(None, "test", (Instance("x", Segment(0, 1)),)), VideoTruth(None, "val", ())
    assert Truth({"a": a, "b": b}).select("test") == Truth({"a": a})


# Real annotations


def test_official_thumos14_has_its_published_counts(shared: Path) -> None:
    truth = read_truth(shared / "data/annotations/thumos14_txt")
    counts = {}
    for subset in truth.subsets:
        videos = [video for video in truth.select(subset).videos.values() if video.instances]
        counts[subset] = (len(videos), sum(len(video.instances) for video in videos))
    assert counts == {"test": (212, 3358), "val": (200, 3007)}
    assert len(truth.classes) == 20
    labels = read_labels(shared / "data/annotations/thumos14_txt", "val").by_video
    assert sum(len(found) for found in labels.values()) == 227


def test_thumos14_says_the_same_in_text_json_and_csv(shared: Path) -> None:
    folder = shared / "data/annotations"

    def spelled(truth: Truth, names: set[str]) -> set[tuple[str, str, float, float]]:
        rows = ((n, i.label, i.segment) for n in names for i in truth.videos[n].instances)
        return {(name, label, round(s.start_s, 1), round(s.end_s, 1)) for name, label, s in rows}

    text = read_truth(folder / "thumos14_txt")
    for name in ("thumos14.json", "thumos14_activitynet_format.json", "thumos14_csv/test_Annotation.csv"):
        other = read_truth(folder / name)
        names = set(other.videos)
        assert names <= set(text.videos)
        assert len(names) >= 210
        assert spelled(other, names) == spelled(text, names)
