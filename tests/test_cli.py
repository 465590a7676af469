"""The command line: what goes where, exit statuses, one line for what a user can fix."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small import OPTIONS, Done, World, tal

from cli.app import PANELS


def test_every_command_has_help_with_an_example(tmp_path: Path) -> None:
    for panel in PANELS.values():
        for command in (function.__name__.replace("_", "-") for function in panel):
            done = tal(command, "--help", cwd=tmp_path, cache=tmp_path)
            assert done.returncode == 0 and f"tal {command}" in done.stdout and "Example" in done.stdout, command
    for command in ("ls", "why", "clear"):
        assert "Example" in tal("cache", command, "--help", cwd=tmp_path, cache=tmp_path).stdout


def test_import_and_help_load_nothing_heavy() -> None:
    code = (
        "import sys, tal, cli.app\n"
        "assert not {'torch', 'cv2', 'av', 'decord', 'numpy', 'pydantic'} & set(sys.modules), 'heavy'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_run_prints_the_table_on_stdout_and_the_rest_on_stderr(ran: Done) -> None:
    assert "activitynet protocol, subset test: 5 videos" in ran.stdout
    assert "activitynet protocol, subset test" in ran.stdout and "0.1:0.7" in ran.stdout
    assert "10 made, 0 kept" in ran.stderr and "trained" in ran.stderr


def test_stdout_of_localize_is_json_and_nothing_else(ran: object, world: World, tmp_path: Path) -> None:
    video = world.data.videos / "test_0000.mp4"
    run = world.folder / "out" / "runs" / "stpn"
    done = tal("localize", video, "--model", run, cwd=tmp_path, cache=world.cache)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found["results"]) == ["test_0000"]
    assert found["provenance"]["localize"]["nms"] == 0.5 and found["provenance"]["model"]["method"]["name"] == "stpn"
    written = tal("localize", video, "--model", run, "-o", "x.json", cwd=tmp_path, cache=world.cache)
    assert written.stdout == "" and json.loads((tmp_path / "x.json").read_text()) == found
    changed = tal(
        "localize", video, "--model", run, "--set", "localize.max_detections=1", cwd=tmp_path, cache=world.cache
    )
    assert len(json.loads(changed.stdout)["results"]["test_0000"]) <= 1


def test_evaluate_reads_what_run_wrote(ran: object, world: World, tmp_path: Path) -> None:
    detections = world.folder / "out" / "runs" / "stpn" / "detections.json"
    command = ["evaluate", detections, world.data.annotations, "--subset", "test", "--json"]
    for protocol in ("activitynet", "thumos14"):
        done = tal(*command, "--protocol", protocol, "--tiou", "0.5", cwd=tmp_path, cache=tmp_path)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["protocol"], found["tiou"], found["n_videos"]) == (protocol, [0.5], 5)


def test_the_cache_lists_explains_and_clears(ran: object, world: World, tmp_path: Path) -> None:
    shutil.copytree(world.cache, tmp_path / "cache")
    listed = tal("cache", "ls", "--stage", "train", cwd=tmp_path, cache=tmp_path / "cache").stdout
    key = listed.splitlines()[-2].split()[3]
    why = tal("cache", "why", key, cwd=tmp_path, cache=tmp_path / "cache")
    assert '"stage": "train"' in why.stdout
    assert "no other entry" in why.stdout or "differs from" in why.stdout  # other tests may have trained, too
    assert "freed" in tal("cache", "clear", cwd=tmp_path, cache=tmp_path / "cache").stderr
    assert key not in tal("cache", "ls", cwd=tmp_path, cache=tmp_path / "cache").stdout


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (["extract", "none.mp4"], 1, "tal: none.mp4: no such file or folder"),
        (["extract", "empty"], 1, "tal: empty: no video in this folder"),
        (["extract", "text.mp4"], 1, "text.mp4"),
        (["extract", "silent.mp4"], 1, "no video stream"),
        (["extract", "."], 1, "would share the name 'twin'"),
        (["extract", "text.mp4", "--decoder", "pyaw"], 2, "unknown decoder 'pyaw'; did you mean 'pyav'?"),
        (["extract", "text.mp4", "--flow", "opencw"], 2, "unknown flow backend 'opencw'; did you mean 'opencv'?"),
        (["extract", "text.mp4", "--weights", "none.pt"], 1, "none.pt"),
        (
            ["extract", "text.mp4", "--set", "extract.fsp=3"],
            2,
            "unknown key 'extract.fsp'; did you mean 'extract.fps'?",
        ),
        (["train", "-m", "stpm", "-l", "labels.csv"], 2, "unknown method 'stpm'; did you mean 'stpn'?"),
        (["train", "-l", "none.csv"], 1, "none.csv"),
        (["train", "-l", "column.csv"], 1, "labl"),
        (["train", "-l", "nothing.csv"], 1, "nothing.csv"),
        (["train", "-l", "labels.csv", "-f", "empty"], 1, "no features for the labelled video 'ghost'"),
        (["localize", "text.mp4", "--model", "none"], 1, "no model at"),
        (["evaluate", "labels.csv", "labels.csv"], 1, "labels.csv"),
        (["run", "empty", "-l", "labels.csv"], 1, "empty: no video in this folder"),
        (["bench", "spede"], 2, "unknown benchmark 'spede'"),
        (["extract"], 2, "Missing argument"),
        (["extrct"], 2, "No such command"),
    ],
)
def test_bad_input_gets_one_line_and_a_stable_status(
    tmp_path: Path, command: list[str], status: int, message: str
) -> None:
    make_bad_input(tmp_path)
    weights = [] if command[0] != "extract" or "--weights" in command else ["--weights", "random:0"]
    extra = weights if command[0] == "extract" and len(command) > 1 else []
    done = tal(*command, *extra, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def make_bad_input(folder: Path) -> None:
    import av
    import numpy as np

    (folder / "empty").mkdir()
    (folder / "text.mp4").write_text("this is no video\n" * 20)
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "twin.mp4").write_text("x")
    (folder / "labels.csv").write_text("video,label\nghost,jump\n")
    (folder / "column.csv").write_text("video,labl\nghost,jump\n")
    (folder / "nothing.csv").write_text("video,label\n")
    with av.open(str(folder / "silent.mp4"), "w") as box:
        stream = box.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        box.mux(stream.encode(frame))
        box.mux(stream.encode())


def test_without_network_one_line_says_what_to_download_and_where_to_put_it(world: World, tmp_path: Path) -> None:
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    done = tal("extract", world.data.videos, cwd=tmp_path, cache=tmp_path / "cache", **nowhere)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("tal: ")]
    for part in ("rgb_imagenet.pt", "https://", str(tmp_path / "cache" / "weights"), "random:0"):
        assert part in line


def test_a_batch_with_a_bad_video_goes_on_and_ends_with_status_1(world: World, tmp_path: Path) -> None:
    shutil.copy(world.data.videos / "train_0000.mp4", tmp_path)
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 5000)
    done = tal("extract", ".", *OPTIONS, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 1
    assert (tmp_path / "features" / "train_0000.safetensors").exists()
    assert "tal: 1 of 2 videos failed" in done.stderr and "broken" in done.stderr


def test_a_place_that_cannot_be_written_is_told(world: World, tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file where the folder should be")
    done = tal("extract", world.data.videos, *OPTIONS, cwd=tmp_path, cache=world.cache)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "tal: cannot write features" in done.stderr and "choose another place" in done.stderr


def test_a_disk_that_fills_up_while_a_shard_is_written_loses_nothing(world: World, tmp_path: Path) -> None:
    command = ["extract", str(world.data.videos / "test_0000.mp4"), *OPTIONS, "--set", "extract.streams=[rgb]"]
    assert tal(*command, "-o", "before", cwd=tmp_path, cache=world.cache).returncode == 0  # calibrates the weights
    limited = ["bash", "-c", 'ulimit -f 20; exec "$@"', "limited", sys.executable, "-m", "cli.app", *command]
    environment = {**os.environ, "TAL_CACHE": str(world.cache)}
    done = subprocess.run(limited, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "tal: cannot write" in done.stderr and "free some space" in done.stderr
    assert [p for p in (tmp_path / "features").iterdir() if p.is_file()] == []
    assert tal(*command, cwd=tmp_path, cache=world.cache).returncode == 0
    (shard,) = (p for p in (tmp_path / "features").iterdir() if p.is_file())
    assert shard.read_bytes() == (tmp_path / "before" / shard.name).read_bytes()


def test_doctor_names_engines_and_weights(tmp_path: Path) -> None:
    done = tal("doctor", "--json", cwd=tmp_path, cache=tmp_path)
    checks = {check["part"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 0
    assert checks["decoder pyav"]["state"] == "ok" and checks["flow opencv"]["state"] == "ok"
    assert checks["weights rgb"]["state"] == "missing" and "random:0" in checks["weights rgb"]["detail"]
    assert "flow opencv-cuda" in checks and "cache" in checks


def test_version(tmp_path: Path) -> None:
    assert tal("--version", cwd=tmp_path, cache=tmp_path).stdout.startswith("tal 0.")
