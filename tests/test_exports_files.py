"""Exports as files: what is needed of the videos, what is kept, what is refused, what the command says."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import clips
import pytest
from exported import SHOTS
from small import Done, tal

from tal import pipeline
from tal.errors import ConfigError, InputError
from tal.exports import ExportOptions, writable
from tal.pipeline import DetectionExport, export_detections
from tal.results import Results, write_results

RESULTS = Results({"a": SHOTS, "b": SHOTS[:1]})


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a.mp4", "b.mkv"):
        clips.write(folder / name, range(100))
    return folder


def run(tmp_path: Path, *arguments: object, results: Results = RESULTS) -> Done:
    write_results(tmp_path / "d.json", results)
    return tal("export", "d.json", *arguments, cwd=tmp_path, cache=tmp_path / "cache")


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("to", [name for name in writable() if name != "clips"])
def test_every_format_writes_files_and_keeps_them(to: str, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / ("out" if to in ("cvat", "edl", "elan", "srt", "vtt") else "out.txt")
    report = export_detections(RESULTS, to, out, videos=[videos])
    assert (report.n_videos, report.n_detections, report.failures) == (2, 5, {})
    assert report.files and all(path.is_file() for path in report.files)
    content = {path: path.read_bytes() for path in report.files}
    again = export_detections(RESULTS, to, out, videos=[videos])
    assert again.made == 0 and {path: path.read_bytes() for path in again.files} == content
    assert json.dumps(again.to_dict())


def test_what_is_there_and_differs_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.vtt").write_text("mine")
    report = export_detections(RESULTS, "vtt", tmp_path)
    assert report.failures == {"a": f"{tmp_path}/a.vtt: is there already and differs; choose another place, or --force"}
    assert (tmp_path / "a.vtt").read_text() == "mine" and names(tmp_path) == ["a.vtt", "b.vtt"]
    assert export_detections(RESULTS, "vtt", tmp_path, force=True).made == 1
    assert (tmp_path / "a.vtt").read_text().startswith("WEBVTT")
    (tmp_path / "x.csv").write_text("mine")
    with pytest.raises(InputError, match="is there already and differs"):
        export_detections(RESULTS, "csv", tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("clips", "clips: the videos are needed; --videos DIR"),
        ("cvat", "cvat: the size of the pictures is needed; --videos DIR"),
        ("edl", "edl: it counts frames, so their rate is needed; --videos DIR or --fps RATE"),
        ("label-studio", "label-studio: it counts frames, so their rate is needed; --videos DIR or --fps RATE"),
    ],
)
def test_what_a_format_needs(to: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        export_detections(RESULTS, to, tmp_path / "out")
    assert str(told.value) == said and names(tmp_path) == []


def test_the_rate_is_the_videos_or_the_users(videos: Path, tmp_path: Path) -> None:
    def first(**more: Any) -> list[dict[str, int]]:
        out = io.StringIO()
        export_detections(Results({"a": SHOTS}), "label-studio", out, **more)
        ranges: list[dict[str, int]] = json.loads(out.getvalue())[0]["predictions"][0]["result"][0]["value"]["ranges"]
        return ranges

    fifty = ExportOptions(fps=2 * clips.Fraction(25))
    assert first(videos=[videos]) == [{"start": 26, "end": 75}]
    assert first(options=fifty) == [{"start": 51, "end": 150}]
    assert first(videos=[videos], options=fifty)[0]["start"] == 51


def test_a_video_that_is_missing_fails_alone(videos: Path, tmp_path: Path) -> None:
    results = Results({"gone": SHOTS, "a": SHOTS, "nothing": ()})
    for to, out in (("edl", tmp_path / "edl"), ("label-studio", tmp_path / "x.json")):
        report = export_detections(results, to, out, videos=[videos])
        assert report.failures == {"gone": "no video of the name 'gone' among those of --videos"}
        assert report.n_videos == 1


def test_uneven_rates_are_told(tmp_path: Path) -> None:
    clips.write(tmp_path / "v.mkv", [0, 1, 2, 5, 6, 10, 11, 12, 20, 21])
    report = export_detections(Results({"v": SHOTS}), "edl", tmp_path / "out", videos=[tmp_path])
    assert report.notes == {"v": "its rate is not constant, frame numbers are approximate"}


def test_names_never_leave_the_folder(tmp_path: Path) -> None:
    bad = ["../x", str(tmp_path / "y"), "con", "z\0"]
    report = export_detections(Results(dict.fromkeys([*bad, "good"], SHOTS)), "srt", tmp_path / "in/out")
    assert sorted(report.failures) == sorted(bad)
    assert names(tmp_path) == ["in/out/good.srt"]


def test_stdout(tmp_path: Path) -> None:
    done = run(tmp_path, "--to", "csv", "--class", "Run", "--min-score", "0.25", "--top", 1)
    assert (done.returncode, done.stdout) == (
        0,
        "video,label,start,end,score\na,Run,1.000,3.000,0.5\nb,Run,1.000,3.000,0.5\n",
    )
    assert done.stderr == "2 detections of 2 videos, 3 left out\n"
    assert run(tmp_path, "--to", "srt", "-o", "-", results=Results({"b": SHOTS[:1]})).stdout.startswith(
        "1\n00:00:01,000"
    )
    refused = run(tmp_path, "--to", "srt", "-o", "-")
    assert (refused.returncode, refused.stderr) == (
        2,
        "tal: srt: there are several files to write; name a folder with -o\n",
    )
    assert run(tmp_path, "--to", "csv", "--json").returncode == 2


def test_the_folder_is_named_after_the_format(tmp_path: Path) -> None:
    done = run(tmp_path, "--to", "elan")
    assert done.returncode == 0 and done.stderr == "2 files in elan (2 new): 5 detections of 2 videos\n"
    assert names(tmp_path / "elan") == ["a.eaf", "b.eaf"]


def test_report_and_exit_status(videos: Path, tmp_path: Path) -> None:
    results = Results({"a": SHOTS, "gone": SHOTS})
    done = run(tmp_path, "--to", "cvat", "-o", "x", "--videos", videos, "--json", results=results)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["files"] == ["x/a.xml", "x/cvat-labels.json"] and list(told["failures"]) == ["gone"]
    assert done.stderr.splitlines()[-1] == "tal: 1 of 2 videos failed"


def test_prefix_and_the_list(tmp_path: Path) -> None:
    done = run(tmp_path, "--to", "label-studio", "--fps", "25", "--prefix", "https://host/")
    assert json.loads(done.stdout)[0]["data"]["video"] == "https://host/a.mp4"
    listed = tal("export", "--list", cwd=tmp_path, cache=tmp_path)
    assert listed.returncode == 0 and all(name in listed.stdout for name in writable())


def test_wrong_format_and_rate(tmp_path: Path) -> None:
    assert run(tmp_path, "--to", "vt").stderr == "tal: unknown format 'vt'; did you mean 'vtt'?\n"
    assert "--fps 'x': write a number" in run(tmp_path, "--to", "edl", "--fps", "x").stderr


def test_csv_is_ground_truth_as_it_is(tmp_path: Path) -> None:
    export_detections(RESULTS, "csv", tmp_path / "truth.csv")
    assert pipeline.evaluate(RESULTS, tmp_path / "truth.csv").map.tolist() == [1.0] * 7


def test_the_report_is_a_value() -> None:
    report = DetectionExport("csv", (Path("x.csv"),), 1, 2, 3, 4)
    assert report.to_dict()["files"] == ["x.csv"] and report.to_dict()["n_left_out"] == 4
