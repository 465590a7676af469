"""``tal localize`` without a model: planted classes are found at their times, and every refusal is one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import threads
from halves import FIRST, HALF_S, RIVAL, SECOND, SETS, SNIPPET_S, Halves, make_halves
from planted import Listener
from small import Done, tal

from tal import pipeline
from tal.cache import Cache
from tal.errors import InputError
from tal.files import sha256_file

NOTE = "no --model: Kinetics-400 classes, without training;"
DOUBT = "the classes are only right if the head was trained on Kinetics-400 in alphabetical order"


_one_thread = threads.one_thread  # a fixture that every test uses


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Halves:
    made = make_halves(tmp_path_factory.mktemp("halves"))
    done = tal("localize", made.video, *made.options, cwd=made.video.parent, cache=made.cache)
    assert done.returncode == 0, done.stderr
    return made


def localize(halves: Halves, *options: object, cache: Path | None = None) -> Done:
    given = [halves.video, *halves.options, *options]
    return tal("localize", *given, cwd=halves.video.parent, cache=cache or halves.cache)


def found(done: Done) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    (detections,) = json.loads(done.stdout)["results"].values()
    return list(detections)


def entries(cache: Path) -> dict[str, set[str]]:
    kept: dict[str, set[str]] = {}
    for entry in Cache(cache).entries():
        kept.setdefault(str(entry.preimage["stage"]), set()).add(entry.key)
    return kept


def labels(detections: list[dict[str, Any]]) -> list[str]:
    return [detection["label"] for detection in detections]


def assert_planted(detections: list[dict[str, Any]]) -> None:
    """Best first; scores are mean probabilities, a little lower where the halves meet."""
    assert labels(detections) == [FIRST, SECOND, RIVAL]
    halves = [0, HALF_S], [HALF_S, 2 * HALF_S], [HALF_S, 2 * HALF_S]
    for detection, segment, probability in zip(detections, halves, (1, 0.73, 0.27), strict=True):
        assert detection["segment"] == pytest.approx(segment, abs=SNIPPET_S / 2)
        assert 0.9 * probability < detection["score"] < 1.01 * probability


def test_planted_classes_are_found_at_their_times(halves: Halves) -> None:
    done = localize(halves)
    assert_planted(found(done))
    (note,) = [line for line in done.stderr.splitlines() if NOTE in line]
    assert "tal train --labels" in note and "--model" in note


def test_the_python_function_says_the_same(halves: Halves) -> None:
    listener = Listener()
    settings = pipeline.model_settings(None, sets=[*SETS, f"extract.weights={halves.weights}"])
    results = pipeline.localize(halves.video, settings=settings, cache=Cache(halves.cache), progress=listener)
    detections = [(d.label, d.segment.start_s, d.segment.end_s) for d in results.by_video["halves"]]
    assert detections == [(d["label"], *d["segment"]) for d in found(localize(halves))]
    assert listener.said[0].startswith(NOTE)


def test_the_header_names_the_model_and_its_weights(halves: Halves) -> None:
    text = json.loads(localize(halves).stdout)
    assert list(text) == ["version", "results", "external_data", "provenance"]
    about = text["provenance"]
    digests = {stream: sha256_file(halves.weights / f"{stream}_imagenet.pt") for stream in ("rgb", "flow")}
    assert about["model"]["method"]["name"] == "i3d-kinetics400" and about["model"]["weights"] == digests
    assert about["features"]["weights"] == digests
    assert len(about["model"]["classes"]) == 400 and about["localize"]["top_classes"] == 5
    assert text["external_data"]["used"] is True


def test_weights_that_are_not_deepminds_are_doubted_in_one_line_each_time(halves: Halves) -> None:
    for _ in range(2):
        (line,) = [line for line in localize(halves).stderr.splitlines() if DOUBT in line]
        assert line.startswith("warning: not DeepMind's weights: rgb ") and "flow_imagenet.pt" in line


def test_deepminds_weights_are_not_doubted(halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from extract import weights

    monkeypatch.setattr(weights, "verify", lambda *_: weights.VerifyReport("rgb_imagenet", 230, 230, ()))
    done = localize(halves, "--set", "extract.streams=[rgb]", cache=tmp_path)
    assert_planted(found(done))
    assert "warning" not in done.stderr
    verified = json.loads(done.stdout)["provenance"]["model"]["verified"]
    assert verified == {"rgb": "all 230 tensors are those of DeepMind's rgb_imagenet"}


def test_one_stream_is_enough(halves: Halves, tmp_path: Path) -> None:
    shutil.copy(halves.weights / "rgb_imagenet.pt", tmp_path)
    one = [*halves.options[:-1], tmp_path, "--set", "extract.streams=[rgb]"]
    done = tal("localize", halves.video, *one, cwd=tmp_path, cache=halves.cache)
    assert_planted(found(done))
    assert list(json.loads(done.stdout)["provenance"]["model"]["weights"]) == ["rgb"]
    refused = tal("localize", halves.video, *one[:-2], cwd=tmp_path, cache=halves.cache)
    assert refused.returncode == 1 and "no weights for stream 'flow'" in refused.stderr


def test_top_keeps_the_best_classes_and_remakes_only_localization(halves: Halves) -> None:
    localize(halves)
    before = entries(halves.cache)
    assert labels(found(localize(halves, "--top", "1"))) == [FIRST]
    assert labels(found(localize(halves, "--top", "2"))) == [FIRST, SECOND]
    after = entries(halves.cache)
    assert len(after.pop("localize") - before.pop("localize")) == 2
    assert after == before


def test_nothing_scores_below_min_score_and_an_empty_answer_says_why(halves: Halves) -> None:
    assert labels(found(localize(halves, "--min-score", "0.4"))) == [FIRST, SECOND]
    for least, what in ((1, "class"), (0.999, "segment")):  # the peak is a little below 1, the mean is lower
        none = localize(halves, "--min-score", str(least))
        assert found(none) == []
        line = f"no detections in 1 of 1 videos: no {what} reached the score {least:g}; --min-score lowers it"
        assert line in none.stderr.splitlines()


def test_a_table_for_people(halves: Halves, tmp_path: Path) -> None:
    done = localize(halves, "--table", "-o", tmp_path / "found.json")
    lines = [line.strip("│┃ ").replace("┃", "│").split("│") for line in done.stdout.splitlines()]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert ["label", "start s", "end s", "score"] in cells
    written = json.loads((tmp_path / "found.json").read_text())["results"]["halves"]
    shown = [row for row in cells if row[0] in {FIRST, SECOND, RIVAL}]
    assert shown == [
        [d["label"], f"{d['segment'][0]:.2f}", f"{d['segment'][1]:.2f}", f"{d['score']:.3f}"] for d in written
    ]


def test_a_folder_of_fitting_shards_is_used(halves: Halves, tmp_path: Path) -> None:
    given = [halves.video, *halves.options, "-o", tmp_path / "shards"]
    done = tal("extract", *given, cwd=tmp_path, cache=tmp_path / "one")
    assert done.returncode == 0, done.stderr
    assert_planted(found(localize(halves, "--features", tmp_path / "shards", cache=tmp_path / "two")))
    assert entries(tmp_path / "two").keys() == {"heads", "activate", "localize"}


def test_what_is_in_the_cache_needs_no_torch(halves: Halves) -> None:
    code = (
        "import sys; from cli.app import main\n"
        f"sys.argv = {['tal', 'localize', *map(str, [halves.video, *halves.options]), '--top', '2']!r}\n"
        "try: main()\n"
        "finally: assert not {'torch', 'torchvision', 'av'} & set(sys.modules), 'heavy'\n"
    )
    environment = {**os.environ, "TAL_CACHE": str(halves.cache)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert FIRST in done.stdout


def test_random_weights_are_refused_before_anything_is_done(halves: Halves, tmp_path: Path) -> None:
    done = tal("localize", halves.video, "--weights", "random:0", cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        "tal: weights 'random:0': untrained weights know no classes; "
        "use weights of Kinetics-400 (--weights default), or a trained model (--model)\n"
    )
    assert entries(tmp_path / "cache") == {}
    saved = tal("localize", halves.video, "--weights", halves.untrained, cwd=tmp_path, cache=tmp_path / "cache")
    assert saved.returncode == 1 and "i3d_rgb.safetensors: untrained weights (random:0)" in saved.stderr


def test_without_network_one_line_says_what_to_download_and_where_to_put_it(halves: Halves, tmp_path: Path) -> None:
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    done = tal("localize", halves.video, cwd=tmp_path, cache=tmp_path / "cache", **nowhere)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("tal: ")]
    for part in ("rgb_imagenet.pt", "https://", str(tmp_path / "cache" / "weights")):
        assert part in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--topp", "3"], "No such option: --topp"),
        (["--top", "-1"], "localize.top_classes: input should be greater than or equal to 0 (got -1)"),
        (["--min-score", "2"], "localize.class_threshold: input should be less than or equal to 1 (got 2.0)"),
        (["--set", "localize.top_clases=1"], "unknown key 'localize.top_clases'; did you mean 'localize.top_classes'?"),
    ],
)
def test_what_is_not_an_option_is_told(halves: Halves, options: list[str], message: str) -> None:
    done = localize(halves, *options)
    assert done.returncode == 2 and done.stdout == "" and message in done.stderr, done.stderr


def test_one_bad_video_does_not_stop_the_others(halves: Halves, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is no video\n" * 20)
    done = localize(halves, tmp_path / "text.mp4")
    assert done.returncode == 1 and "tal: 1 of 2 videos failed" in done.stderr
    results = json.loads(done.stdout)["results"]
    assert list(results) == ["halves"]
    assert_planted(results["halves"])


def test_a_named_pipe_is_refused_not_waited_for(halves: Halves, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    settings = pipeline.model_settings(None, sets=[*SETS, f"extract.weights={halves.weights}"])
    with pytest.raises(InputError, match=r"pipe\.mp4: not a regular file"):
        pipeline.localize(tmp_path / "pipe.mp4", settings=settings, cache=Cache(halves.cache))
