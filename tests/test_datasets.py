"""Descriptions of data sets and published numbers: what is shipped is whole and true, what is wrong is told."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_dataset import description, install

from tal import config, datasets, methods
from tal.datasets import published, truths
from tal.errors import ConfigError
from tal.evaluation.protocols import PROTOCOLS
from tal.files import shipped
from tal.pipeline import check_data
from tal.results import THUMOS14_CLASSES

PAPERS = {"cpmn": "000", "assg": "001", "ecm": "002", "stpn": "003", "cmcs": "004"}


def test_every_description_has_published_numbers_and_settings_of_methods() -> None:
    assert datasets.available() == ["activitynet12", "activitynet13", "thumos14"]
    assert published.available() == datasets.available()
    folders = {path.name for path in (shipped("configs") / "datasets").iterdir()}
    assert folders == set(datasets.available())


@pytest.mark.parametrize("name", ["activitynet12", "activitynet13", "thumos14"])
def test_published_rows_name_what_is_described(name: str) -> None:
    about = datasets.load(name)
    assert about.protocol in PROTOCOLS
    for row in published.read(name):
        assert row.videos in {"", *about.sets}, row.title
        assert row.protocol in {"", *PROTOCOLS}, row.title
        assert row.method == published.OTHERS or row.method in methods.available()
        assert row.at(0.5) is not None, row.title


def test_facts_about_thumos14() -> None:
    about = datasets.load("thumos14")
    assert about.classes == tuple(sorted(THUMOS14_CLASSES))
    assert [len(about.splits[split].durations) for split in ("train", "test")] == [200, 213]
    assert {name: (one.n_videos, one.n_instances) for name, one in about.sets.items()} == {
        "thumos14-213": (213, 3358),
        "thumos14-212": (212, 3358),
        "thumos14-210": (210, 3311),
    }
    hours = sum(about.durations.values()) / 3600
    assert 24 < hours < 25
    assert all(about.video(name) == name for name in about.durations)
    assert about.rate_of("video_test_0001207") == 24
    assert about.rate_of("video_validation_0000311") == 25
    assert about.rate_of("video_test_0000273") == Fraction("29.97")
    assert about.rate_of("video_test_0000004") == 30


def test_names_with_and_without_the_usual_prefix() -> None:
    about = datasets.load("activitynet13")
    assert about.video("v_QOlSCBRmfWY") == about.video("QOlSCBRmfWY") == "QOlSCBRmfWY"
    assert about.video("v_abcdefghi") == "v_abcdefghi"  # an identifier that begins so
    assert (about.video("labels"), about.video("x_QOlSCBRmfWY")) == ("", "")
    assert datasets.load("thumos14").video("v_video_test_0000004") == ""


def test_named_sets_are_those_of_the_evaluation() -> None:
    known = config.read_yaml(shipped("configs") / "videosets.yaml")
    described = datasets.load("thumos14").sets
    for name, one in known.items():
        assert set(one["blocked"]) == set(described[name].without)
        assert (one["n_videos"], one["n_instances"]) == (described[name].n_videos, described[name].n_instances)


def test_thumos14s_own_files_are_as_described(shared: Path) -> None:
    about = datasets.load("thumos14")
    folder = shared / "data" / "annotations"
    official = truths.joined(truths.read(path, about) for path in (folder / "thumos14_txt").glob("temporal_*"))
    for split, one in about.splits.items():
        videos = {name: video for name, video in official.videos.items() if video.subset == split}
        assert set(videos) == set(one.durations)
        assert sum(len(video.instances) for video in videos.values()) == one.n_instances
    for name, one in about.sets.items():
        videos = truths.restricted(official, name, about).videos
        n_instances = sum(len(video.instances) for video in videos.values())
        assert (len(videos), n_instances) == (one.n_videos, one.n_instances)
    assert truths.set_of(official, about) == "thumos14-213"
    assert truths.set_of(truths.read(folder / "thumos14.json", about), about) == "thumos14-210"
    listed = (folder / "thumos14_txt" / "test_durations.txt").read_text().split()
    printed = dict(zip((n.removesuffix(".mp4") for n in listed[::2]), map(float, listed[1::2]), strict=True))
    test = about.splits["test"].durations
    assert all(printed[name] == pytest.approx(seconds, abs=0.006) for name, seconds in test.items())


def test_a_real_copy_of_the_annotations_fits_in_every_form(shared: Path) -> None:
    report = check_data("thumos14", shared / "data" / "annotations")
    assert report.fits, [one.line for one in report.findings if one.level == "problem"]
    told = {one.where: one.what for one in report.findings if "the set" in one.what}
    assert told == {
        "thumos14.json": "all 210 test videos, the set thumos14-210",
        "thumos14_activitynet_format.json": "all 210 test videos, the set thumos14-210",
        "thumos14_csv/test_Annotation.csv": "all 213 test videos, the set thumos14-213",
        "thumos14_txt/temporal_annotations_test": "all 213 test videos, the set thumos14-213",
    }
    late = {video for one in report.findings if "behind their end" in one.what for video in one.videos}
    assert late == set(datasets.load("thumos14").beyond_end)


@pytest.mark.parametrize("method", PAPERS)
def test_every_number_of_a_paper_is_printed_in_it(shared: Path, method: str) -> None:
    (file,) = (shared / "papers").glob(f"{PAPERS[method]}_*.txt")
    printed = {float(text) for text in re.findall(r"\d+\.\d+", file.read_text())}
    rows = [row for name in published.available() for row in published.read(name) if row.who == "paper"]
    own = [row for row in rows if row.method == method]
    numbers = {value for row in own for value in (*row.map, *row.averages.values())}
    if method in {"ecm", "assg"}:  # tables that the text of the paper lost in part: their numbers stand in the notes
        notes = (shared / "notes" / "methods.md").read_text()
        printed |= {float(text) for text in re.findall(r"\d+\.\d+", notes)}
    assert own and numbers <= printed


def test_every_other_number_stands_in_the_notes(shared: Path) -> None:
    notes = (shared / "notes" / "methods.md").read_text()
    known = {float(text) for text in re.findall(r"\d*\.\d+", notes)}
    rows = [row for row in published.read("thumos14") if row.who != "paper" or row.method == published.OTHERS]
    assert {value for row in rows for value in (*row.map, *row.averages.values())} <= known
    assert len([row for row in rows if row.method == published.OTHERS]) >= 14


def test_papers_average_what_they_print() -> None:
    """The means that rows print agree with their numbers, where all of these are printed."""
    for name in published.available():
        for row in published.read(name):
            for text, value in row.averages.items():
                tiou = config.load(sets=[f"evaluate.tiou={text}"]).evaluate.tiou
                values = [row.at(one) for one in tiou]
                if None not in values:
                    assert value == pytest.approx(sum(v or 0 for v in values) / len(values), abs=0.1), row.title


def test_a_row_gives_the_mean_that_is_printed_or_that_can_be_had() -> None:
    tree = {"method": "m", "title": "t", "who": "paper", "source": "s", "features": {"network": "i3d"}}
    row = published.Published.model_validate(
        {**tree, "tiou": [0.3, 0.5], "map": [30.0, 20.0], "averages": {"0.1:0.5:0.1": 28.0}}
    )
    assert row.average((0.3, 0.5)) == 25.0
    assert row.average((0.1, 0.2, 0.3, 0.4, 0.5)) == 28.0
    assert row.average((0.5, 0.7)) is None
    assert (row.at(0.5), row.at(0.7)) == (20.0, None)


def test_a_method_without_rows_stands_beside_others() -> None:
    assert {row.method for row in published.read("thumos14", "best")} == {published.OTHERS}
    assert {row.method for row in published.read("thumos14", "ecm")} == {"ecm"}
    assert published.read("activitynet12", "stpn") == ()


def test_names_are_suggested() -> None:
    with pytest.raises(ConfigError, match=r"^no description of a data set 'thumos'; did you mean 'thumos14'\?$"):
        datasets.load("thumos")
    with pytest.raises(ConfigError, match=r"^no published numbers of a data set 'thumos'; did you mean 'thumos14'\?$"):
        published.read("thumos")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": ""}, "title: string should have at least 1 character"),
        ({"protocoll": "x"}, "unknown key 'protocoll'; did you mean 'protocol'?"),
        ({"n_classes": 4}, "3 classes are listed, n_classes is 4"),
        ({"splits": {"train": description()["splits"]["train"]}}, "expected 'train' and 'test', found train"),
        (
            {"sets": {"tiny": {"split": "test", "n_videos": 5}}},
            "set 'tiny': 5 videos, the split has 3 less 0",
        ),
    ],
)
def test_a_wrong_description_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    install(tmp_path, monkeypatch, **changes)
    with pytest.raises(ConfigError) as error:
        datasets.load("tiny")
    assert message in str(error.value) and str(error.value).startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"map": [1.0, 2.0]}, "'row': 2 numbers at 1 thresholds"),
        ({"map": [101.0]}, "'row': mAP lies between 0 and 100 %"),
        ({"averages": {"0.5:0.1": 3.0}}, "is not a range"),
        ({"who": "somebody"}, "rows.0.who: input should be 'paper', \"authors' code\" or 'public code'"),
    ],
)
def test_a_wrong_row_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    row = {"method": "stpn", "title": "row", "who": "paper", "source": "s", "features": {"network": "i3d"}}
    install(tmp_path, monkeypatch, rows=[{**row, "tiou": 0.5, "map": [1.0], **changes}])
    with pytest.raises(ConfigError) as error:
        published.read("tiny")
    assert message in str(error.value)


def test_two_rows_of_one_title_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"method": "stpn", "title": "row", "who": "paper", "source": "s", "features": {"network": "i3d"}}
    install(tmp_path, monkeypatch, rows=[{**row, "tiou": 0.5, "map": [1.0]}] * 2)
    with pytest.raises(ConfigError, match="two rows are called 'row'"):
        published.read("tiny")


def test_no_line_of_the_shipped_files_is_long() -> None:
    for folder in ("data", "published"):
        for path in (shipped("configs") / folder).glob("*.yaml"):
            assert max(map(len, path.read_text().splitlines())) <= 120, path.name
            assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_the_documented_rows_are_the_shipped_ones() -> None:
    text = (shipped("configs").parent / "docs" / "reproduction.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    shown = {tuple(cells[:2]): cells for cells in rows}
    for row in published.read("thumos14"):
        cells = shown[row.title, row.who]
        assert cells[2:4] == [row.protocol or "not stated", row.videos.removeprefix("thumos14-") or "not stated"]
        figures = [row.at(tiou) for tiou in (0.1, 0.3, 0.5, 0.7)] + [row.average((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7))]
        assert cells[5:] == ["" if value is None else f"{value:.1f}" for value in figures]
    for name, release in (("activitynet12", "1.2"), ("activitynet13", "1.3")):
        for row in published.read(name):
            assert shown[row.title, release][2:5] == [f"{row.at(tiou):.1f}" for tiou in (0.5, 0.75, 0.95)]
