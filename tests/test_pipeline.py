"""The stages together, on real pixels: everything is found again, nothing damaged is used, kills lose nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import halted
import numpy as np
import pytest
from patience import WAIT_S, until
from small import SETS, Done, World, settings, with_features

import tal
from extract import decoders, flow
from tal import shards
from tal.cache import Cache
from tal.errors import ConfigError, InputError, TalError
from tal.results import read_results


@pytest.fixture(autouse=True)
def _after_a_run(ran: Done) -> None:
    """Everything here starts from what one run left behind."""


def chain(world: World, *sets: str, out: Path | None = None) -> tal.pipeline.RunReport:
    data = world.data
    return tal.run(
        data.videos,
        data.labels,
        settings(*sets),
        annotations=data.annotations,
        out=out or world.folder / "out",
        cache=Cache(world.cache),
    )


def test_a_run_leaves_shards_model_detections_and_evaluation(world: World) -> None:
    report = chain(world)
    assert len(report.extraction.shards) == 10
    assert {p.name for p in report.run.path.iterdir()} == {
        "model.safetensors",
        "config.yaml",
        "metrics.jsonl",
        "environment.json",
        "advice.json",
        "detections.json",
        "evaluation.json",
    }
    assert report.evaluation and report.evaluation.subset == "test" and report.evaluation.n_videos == 5
    assert read_results(report.detections).by_video.keys() == report.extraction.shards.keys()


def test_a_second_run_makes_nothing_and_loads_neither_torch_nor_a_decoder(world: World) -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from pathlib import Path; from small import settings; import tal; from tal.cache import Cache\n"
        f"d = Path({str(world.data.videos.parent)!r})\n"
        "r = tal.run(d / 'videos', d / 'labels.csv', settings(), annotations=d / 'annotations.json',"
        f" out={str(world.folder / 'out')!r}, cache=Cache(Path({str(world.cache)!r})))\n"
        "assert not r.extraction.made and all(r.kept.values()), r\n"
        "assert not {'torch', 'av', 'decord'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_changed_threshold_reaches_only_localization_and_evaluation(world: World, tmp_path: Path) -> None:
    out = with_features(world, tmp_path)
    report = chain(world, "localize.nms=0.123", out=out)
    assert not report.extraction.made
    assert report.kept["train"] and not report.kept["localize"]
    before = {e.key for e in Cache(world.cache).entries("activate")}
    chain(world, "localize.nms=0.124", out=out)
    assert {e.key for e in Cache(world.cache).entries("activate")} == before


def test_a_changed_hyper_parameter_trains_again_on_the_same_features(world: World, tmp_path: Path) -> None:
    report = chain(world, "method.beta=0.01", out=with_features(world, tmp_path))
    assert not report.extraction.made and not report.kept["train"]


def test_shards_say_how_they_were_made(world: World) -> None:
    features = shards.read(next((world.folder / "out" / "features").glob("*.safetensors")))
    about = features.provenance
    assert features.streams["rgb"].shape == features.streams["flow"].shape == (features.grid.n_snippets, 1024)
    assert features.motion is not None and (features.motion >= 0).all()
    assert about["settings"]["decoder"] == decoders.choose("auto")
    assert about["settings"]["flow"] == {"backend": flow.choose("auto"), "preset": "i3d", "quality": "default"}
    assert about["weights_spec"] == "random:0" and "random weights" in about["weights_note"]
    assert len(about["weights"]["rgb"]) == 64 and len(about["video"]["sha256"]) == 64
    assert about["video"]["decode"]["n_bad_packets"] == 0


@pytest.mark.parametrize("damage", ["flip", "cut", "settings"])
def test_a_shard_that_does_not_fit_is_made_again_bit_for_bit(world: World, tmp_path: Path, damage: str) -> None:
    video = world.data.videos / "test_0004.mp4"
    folder = tmp_path / "features"
    folder.mkdir()
    name = f"{video.stem}.safetensors"
    whole = (world.folder / "out" / "features" / name).read_bytes()
    match damage:
        case "flip":
            (folder / name).write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
        case "cut":
            (folder / name).write_bytes(whole[:1000])
        case "settings":
            shutil.copy(world.folder / "out" / "features" / "train_0000.safetensors", folder / name)
    first = sorted(world.data.videos.iterdir())[:2]  # the calibration videos, so that weights are the same
    report = tal.extract([video, *first], folder, settings(), cache=Cache(world.cache))
    assert video.stem in report.made
    assert (folder / name).read_bytes() == whole


def test_one_video_gets_the_same_detections_alone_as_among_others(world: World) -> None:
    video = world.data.videos / "test_0000.mp4"
    run = world.folder / "out" / "runs" / "stpn"
    alone = tal.localize(video, run, cache=Cache(world.cache))
    among = read_results(run / "detections.json").by_video["test_0000"]
    assert [d.label for d in alone.by_video["test_0000"]] == [d.label for d in among]
    for mine, theirs in zip(alone.by_video["test_0000"], among, strict=True):
        assert mine.segment.start_s == pytest.approx(theirs.segment.start_s, abs=0.1)
    assert alone.provenance["model"]["classes"] and alone.provenance["features"]


def test_a_bad_video_does_not_stop_the_others(world: World, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("train_0000.mp4", "train_0001.mp4"):
        shutil.copy(world.data.videos / name, videos)
    (videos / "text.mp4").write_text("not a video at all\n" * 50)
    report = tal.extract(videos, tmp_path / "features", settings(), cache=Cache(world.cache))
    assert sorted(report.shards) == ["train_0000", "train_0001"]
    assert list(report.failures) == ["text"] and "text.mp4" in report.failures["text"]


def test_labels_and_features_that_do_not_fit_are_told(world: World, tmp_path: Path) -> None:
    features = world.folder / "out" / "features"
    labels = tmp_path / "labels.csv"
    labels.write_text("video,label\ntrain_0000,jump\ntrain_00001,wave\n")
    with pytest.raises(
        InputError, match=r"no features for the labelled video 'train_00001'; did you mean 'train_0001'"
    ):
        tal.train(features, labels, settings(), runs=tmp_path, cache=Cache(world.cache))
    with pytest.raises(InputError, match="no such folder of features; run 'tal extract' first"):
        tal.train(tmp_path / "none", labels, settings(), cache=Cache(world.cache))
    with pytest.raises(ConfigError, match=r"unknown key 'method\.beto'; did you mean 'method\.beta'\?"):
        tal.train(features, world.data.labels, settings("method.beto=1"), cache=Cache(world.cache))


def test_a_model_of_another_dimension_is_told(world: World, tmp_path: Path) -> None:
    from tal import models
    from tal.types import Features, SnippetGrid

    model = models.load(world.folder / "out" / "runs" / "stpn")
    narrow = np.zeros((4, 512), np.float32)
    with pytest.raises(TalError, match="model expects rgb 1024, features have 512"):
        model.activate(Features({"rgb": narrow, "flow": narrow}, SnippetGrid(4), 1.0))


def test_random_weights_that_are_gone_are_told(world: World, tmp_path: Path) -> None:
    run = world.folder / "out" / "runs" / "stpn"
    with pytest.raises(TalError, match="random weights that are not in the cache"):
        tal.localize(world.data.videos / "test_0000.mp4", run, cache=Cache(tmp_path))


_HEEDING = (  # a suite that runs in the background of a script was told to ignore Ctrl-C, and so are its children
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from cli.app import main; main()"
)


def _start(out: Path, halting: str, *command: str) -> subprocess.Popen[str]:
    options = [part for text in SETS for part in ("--set", text)]
    environment = {**os.environ, "TAL_CACHE": str(out / "cache")}
    return subprocess.Popen(
        [sys.executable, "-c", halting + _HEEDING, *command, *options],
        cwd=out, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_extraction_keeps_what_was_finished(world: World, tmp_path: Path, how: signal.Signals) -> None:
    features, flow_alone = tmp_path / "features", "extract.streams=[flow]"
    words = ["extract", str(world.data.videos), "-o", str(features), "--set", flow_alone]
    process = _start(tmp_path, halted.before("tal.shards", 8), *words)
    until(lambda: list(features.glob("*.safetensors")), lambda: process.poll() is None)
    process.send_signal(how)
    _, said = process.communicate(timeout=WAIT_S)
    if how == signal.SIGINT:
        assert process.returncode == 130 and "the same command goes on from there" in said
    finished = {p.name: p.read_bytes() for p in features.glob("*.safetensors")}
    assert 0 < len(finished) < 10
    report = tal.extract(world.data.videos, features, settings(flow_alone), cache=Cache(tmp_path / "cache"))
    assert len(report.made) == 10 - len(finished) and len(report.shards) == 10
    assert all((features / name).read_bytes() == content for name, content in finished.items())
    assert not [p for p in features.iterdir() if p.suffix == ".part"]


def test_a_killed_training_ends_as_an_undisturbed_one(world: World, tmp_path: Path) -> None:
    features, labels = world.folder / "out" / "features", world.data.labels
    long = ["--set", "train.steps=150", "--set", "runtime.checkpoint_every=10"]
    process = _start(
        tmp_path, halted.before("tal.checkpoints", 10), "train", "-l", str(labels), "-f", str(features), *long
    )
    until(lambda: list(tmp_path.glob("cache/train/??/*.work/checkpoint.pt")), lambda: process.poll() is None)
    process.kill()
    process.communicate(timeout=WAIT_S)
    assert list(tmp_path.glob("cache/train/??/*.work/checkpoint.pt")), "it was killed in the middle"
    wanted = settings("train.steps=150", "runtime.checkpoint_every=10")
    resumed = tal.train(features, labels, wanted, runs=tmp_path / "a", cache=Cache(tmp_path / "cache"))
    undisturbed = tal.train(features, labels, wanted, runs=tmp_path / "b", cache=Cache(tmp_path / "other"))
    assert resumed.model.read_bytes() == undisturbed.model.read_bytes()


def test_the_published_config_holds_every_setting(world: World) -> None:
    text = (world.folder / "out" / "runs" / "stpn" / "config.yaml").read_text()
    for section in ("extract:", "method:", "train:", "localize:", "evaluate:"):
        assert section in text
    evaluation = json.loads((world.folder / "out" / "runs" / "stpn" / "evaluation.json").read_text())
    assert evaluation["protocol"] == "activitynet" and len(evaluation["map"]) == 7


def test_two_fresh_runs_give_the_same_bytes(world: World, tmp_path: Path) -> None:
    """Same videos, same settings, nothing shared: weights, shards and their keys are equal bit by bit."""
    videos = sorted(world.data.videos.iterdir())[:2]
    wanted = settings("extract.calibration_videos=1")
    for name in ("a", "b"):
        tal.extract(videos, tmp_path / name / "features", wanted, cache=Cache(tmp_path / name))
    for pattern in ("features/*.safetensors", "calibrate/*/*/*.safetensors"):
        one, other = (sorted((tmp_path / name).glob(pattern)) for name in ("a", "b"))
        assert len(one) == 2
        for mine, theirs in zip(one, other, strict=True):
            assert mine.read_bytes() == theirs.read_bytes()
