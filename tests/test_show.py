"""`tal show`: one video from detections, from models and from both, as text, JSON and figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from annotated import database, entry, write
from planted import training_videos
from small import Done, World
from small import tal as command
from swept import OPTIONS

from tal.errors import ConfigError
from tal.pipeline.showing import Method, parse_methods
from tal.results import Results, write_results
from tal.types import Detection, Segment


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Planted features of six videos, a run that was trained on them, detections and ground truth."""
    folder = tmp_path_factory.mktemp("show")
    videos = training_videos(folder / "features", 6, ["rgb"])
    rows = [f"{video.name},{label}" for video in videos for label in video.labels]
    (folder / "labels.csv").write_text("\n".join(["video,label", *rows]) + "\n")
    done = command("train", *OPTIONS, "-l", "labels.csv", "--name", "mine", cwd=folder, cache=folder / "cache")
    assert done.returncode == 0, done.stderr
    found = (Detection("bend", Segment(2, 5), 0.8), Detection("jack", Segment(6, 8), 0.4))
    write_results(folder / "detections.json", Results({"v0": found, "v1": ()}))
    write(folder / "truth.json", database(v0=entry(("bend", 1, 4), duration=10)))
    return folder


def show(folder: Path, *arguments: object, **environment: str) -> Done:
    return command("show", *arguments, cwd=folder, cache=folder / "cache", **environment)


def ok(done: Done) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_detections_alone_in_a_narrow_pipe_without_colour(place: Path) -> None:
    text = ok(show(place, "v0.mp4", "-d", "detections.json", "-a", "truth.json", COLUMNS="58"))
    assert text.splitlines() == [
        "v0",
        "0:10 · 2 detections · 1 true",
        "bend              ████████████                     0.8",
        "  truth       ━━━━━━━━━━━━                         ×1",
        "jack                              ▄▄▄▄▄▄▄▄         0.4",
        "  truth",
        "          ┴───────────────────┴──────────────────┴",
        "          0:00                0:05               0:10",
    ]


def test_an_encoding_without_blocks_gets_plain_characters(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console.Console.encoding", "ascii")
    text = ok(show(place, "v0", "-d", "detections.json", "-a", "truth.json", COLUMNS="58"))
    assert text.isascii()
    assert text.splitlines()[2] == "bend              @@@@@@@@@@@@                     0.8"


def test_colours_only_where_they_are_wanted(place: Path) -> None:
    arguments = ("v0", "-d", "detections.json")
    assert "\x1b[" not in ok(show(place, *arguments))
    assert "\x1b[1;38" in ok(show(place, *arguments, FORCE_COLOR="1", TERM="xterm-256color"))
    plain = ok(show(place, *arguments, FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color"))
    assert "\x1b[38" not in plain
    assert ";38" not in plain


def test_a_model_and_its_features_give_curves(place: Path) -> None:
    found = json.loads(ok(show(place, "v0", "-m", "runs/mine", "-f", "features", "-a", "truth.json", "--json")))
    assert found["video"] == "v0"
    (method,) = found["methods"]
    (curves,) = method["curves"].values()
    n = len(curves["times_s"])
    assert set(curves["cas"]) == set(found["labels"])
    assert found["duration_s"] == pytest.approx(n * 0.64)
    assert curves["times_s"] == pytest.approx(((np.arange(n) + 0.5) * 0.64).tolist())
    assert found["truth"] == [{"label": "bend", "segment": [1, 4]}]
    localized = command(
        "localize", "--model", "runs/mine", "-f", "features", cwd=place, cache=place / "cache", COLUMNS="80"
    )
    theirs = json.loads(localized.stdout)["results"]["v0"]
    assert len(method["detections"]) == len(theirs)
    assert [one["score"] for one in method["detections"]] == sorted((one["score"] for one in theirs), reverse=True)


def test_detections_and_a_model_of_one_name_are_one_row(place: Path) -> None:
    both = ("-d", "detections.json", "-m", "runs/mine", "-f", "features")
    (method,) = json.loads(ok(show(place, "v0", *both, "--json")))["methods"]
    assert [one["score"] for one in method["detections"]] == [0.8, 0.4]
    assert list(method["curves"]) == ["rgb"]
    assert "cas" in ok(show(place, "v0", *both))
    assert "cas" not in ok(show(place, "v0", *both, "--no-curves"))


def test_figures_of_several_methods(place: Path) -> None:
    rows = ("-d", "A=detections.json", "-m", "B=runs/mine", "-f", "features", "--class", "bend", "--top", "3")
    done = show(place, "v0", *rows, "--svg", "f.svg", "--png", "f.png", "--pdf", "f.pdf", "--width", "3.25")
    assert ok(done).splitlines() == ["f.png", "f.svg", "f.pdf"]
    drawn = re.findall(r">([^<>]+)</text>", (place / "f.svg").read_text())
    assert [text for text in drawn if ":" not in text] == ["bend", "A", "B", "CAS"]
    assert 'width="234pt"' in (place / "f.svg").read_text()


PROBLEMS = {
    ("v2", "-d", "detections.json"): "detections.json: no video 'v2'; known: v0, v1",
    ("v9", "-m", "runs/mine", "-f", "features"): (
        "v9: no such video file, and no features of it in features; known: v0, v1, v2, v3, v4, v5"
    ),
    ("film.mp4",): "film: no such video file; give a file, or name detections that hold it with --detections",
    ("v0", "-m", "runs/mine", "-f", "nowhere"): "nowhere: no such folder of features; run 'tal extract' first",
    ("v0", "-f", "features"): "nothing says what to look for in these features; name a model with --model",
    ("v0", "-d", "detections.json", "--class", "wave"): (
        "--class 'wave': not among what is known of this video; known: bend, jack"
    ),
    ("v0", "-d", "detections.json", "--png", "f.gif"): (
        "f.gif: not a kind of figure that is drawn; end the name with .png, .svg or .pdf"
    ),
}


@pytest.mark.parametrize("arguments", PROBLEMS)
def test_what_is_not_there_is_told(place: Path, arguments: tuple[str, ...]) -> None:
    done = show(place, *arguments)
    assert done.returncode in (1, 2)
    assert done.stderr == f"tal: {PROBLEMS[arguments]}\n"


def test_methods_are_named_by_the_user_or_by_their_files(tmp_path: Path) -> None:
    assert parse_methods() == (Method(""),)
    assert parse_methods(["a.json"], ["runs/b"]) == (Method("", Path("a.json"), Path("runs/b")),)
    assert parse_methods(["x/a.json", "B=b.json"], ["B=runs/b", "runs/c/model.safetensors"]) == (
        Method("a", Path("x/a.json")),
        Method("B", Path("b.json"), Path("runs/b")),
        Method("c", None, Path("runs/c/model.safetensors")),
    )
    (tmp_path / "k=v.json").touch()
    assert parse_methods([f"{tmp_path}/k=v.json"]) == (Method("", tmp_path / "k=v.json"),)
    with pytest.raises(ConfigError) as caught:
        parse_methods(["a/d.json", "b/d.json"])
    assert str(caught.value) == ("--detections: two are named 'd'; name them yourself, e.g. --detections STPN=b/d.json")
    with pytest.raises(ConfigError, match="--model A=: nothing behind the name; write NAME=PATH"):
        parse_methods([], ["A="])


def test_a_video_file_is_localized_through_the_cache(world: World, ran: Done) -> None:
    assert ran.returncode == 0
    video = min(world.data.videos.iterdir())
    done = command("show", video, "-m", "out/runs/stpn", "--json", cwd=world.folder, cache=world.cache)
    found = json.loads(ok(done))
    assert found["video"] == video.stem
    assert found["methods"][0]["curves"]
    direct = command("localize", video, "--model", "out/runs/stpn", cwd=world.folder, cache=world.cache)
    theirs = json.loads(direct.stdout)["results"][video.stem]
    assert sorted(one["score"] for one in found["methods"][0]["detections"]) == sorted(one["score"] for one in theirs)
