"""From runs and detections to report files, through the Python API and the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from reported import film
from small import OPTIONS, Done, World, tal
from test_report import Read

import tal as package
from tal import pipeline
from tal.annotations import Instance, Truth, VideoTruth
from tal.errors import AnnotationError, InputError
from tal.pipeline import ReportOptions
from tal.results import Results, write_results
from tal.types import Detection, Segment

FOUND = Results({"v": (Detection("a", Segment(1, 2), 0.4), Detection("b", Segment(3, 5), 0.8))})


def data(path: Path, name: str = "video-0") -> Any:
    return json.loads(Read(path.read_text(encoding="utf-8")).scripts[name])


def test_one_video_is_named_after_itself_and_needs_no_overview(tmp_path: Path) -> None:
    found = pipeline.report(FOUND, tmp_path / "out" / "r.html")
    assert (found.path, found.n_videos, found.n_at_hand) == (tmp_path / "out" / "r.html", 1, 0)
    assert found.n_bytes == found.path.stat().st_size
    assert data(found.path, "index")["title"] == "v"
    assert data(found.path, "overview") is None


def test_the_package_offers_it_under_another_name() -> None:
    assert package.make_report is pipeline.report


def test_low_scores_are_left_out_of_pages(tmp_path: Path) -> None:
    found = pipeline.report(FOUND, tmp_path / "r.html", options=ReportOptions(min_score=0.5, title="Best"))
    assert data(found.path)["detections"] == [[0, 3, 5, 0.8]]
    assert data(found.path, "index")["title"] == "Best"


def test_several_videos_with_truth_are_compared_with_it(tmp_path: Path) -> None:
    results = Results({"v": FOUND.by_video["v"], "w": ()})
    truth = Truth({name: VideoTruth(9.0, "test", (Instance("a", Segment(1, 2)),)) for name in results.by_video})
    found = pipeline.report(results, tmp_path / "r.html", truth=truth)
    assert data(found.path, "overview")["evaluation"] is not None
    assert data(found.path, "overview")["diagnosis"] is not None
    assert data(found.path)["truth"] == [[1, 1, 2]]


def test_videos_at_hand_are_linked_and_shown_small(tmp_path: Path) -> None:
    film(tmp_path / "v.mp4", seconds=6)
    found = pipeline.report(FOUND, tmp_path / "r.html", videos=tmp_path / "v.mp4")
    assert found.n_at_hand == 1
    assert data(found.path)["media"]["href"] == "./v.mp4"
    assert len(data(found.path)["thumbnails"]["times_s"]) == 39  # the last of 40 times lies behind the last frame
    bare = pipeline.report(
        FOUND, tmp_path / "bare.html", videos=[tmp_path / "v.mp4"], options=ReportOptions(thumbnails=False)
    )
    assert data(bare.path)["thumbnails"] is None


def test_a_folder_without_detections_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no detections\.json in this folder; write them with 'tal localize VIDEOS"):
        pipeline.report(tmp_path, tmp_path / "r.html")


def test_an_evaluation_that_is_none_is_refused(tmp_path: Path) -> None:
    write_results(tmp_path / "detections.json", Results({"v": (), "w": ()}))
    (tmp_path / "evaluation.json").write_text("[]")
    with pytest.raises(AnnotationError, match=r"evaluation\.json: not an evaluation that tal wrote; remove it"):
        pipeline.report(tmp_path, tmp_path / "r.html")


def test_a_run_is_shown_with_all_that_lies_beside_it(world: World, ran: Done) -> None:
    run, out = world.folder / "out" / "runs" / "stpn", world.folder / "look" / "report.html"
    places = ["--videos", world.data.videos, "--truth", world.data.annotations, "-o", out]
    done = tal("report", run, *places, cwd=world.folder, cache=world.cache)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}\n"
    assert "report of 10 videos, 10 of them at hand, " in done.stderr
    overview, names = data(out, "overview"), [one["name"] for one in data(out, "index")["videos"]]
    assert overview["training"] is not None
    assert overview["evaluation"] is not None  # of the subset that 'tal run' had chosen
    first = data(out, f"video-{names.index('test_0000')}")
    assert list(first["curves"]) == ["rgb", "flow"]
    assert (out.parent / first["media"]["href"]).resolve() == world.data.videos / "test_0000.mp4"
    assert first["thumbnails"]["times_s"]


def test_localizing_writes_a_report_beside_the_detections(world: World, ran: Done, tmp_path: Path) -> None:
    run, video = world.folder / "out" / "runs" / "stpn", tmp_path / "new.mp4"
    shutil.copy(world.data.videos / "test_0001.mp4", video)
    places = ["--model", run, "--report", tmp_path / "r.html", "--embed", "-o", tmp_path / "found.json"]
    done = tal("localize", video, *places, *OPTIONS[:2], cwd=world.folder, cache=world.cache)
    assert done.returncode == 0, done.stderr
    found = data(tmp_path / "r.html")
    assert found["media"]["embedded"] is True
    assert found["curves"].keys() == {"rgb", "flow"}
    listed = json.loads((tmp_path / "found.json").read_text())["results"]["new"]
    assert [one[1:3] for one in found["detections"]] == [one["segment"] for one in listed]
    assert "report of 1 video, 1 of them at hand, " in done.stderr
