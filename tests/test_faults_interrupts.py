"""Ctrl-C in the middle of commands that extract among other things: what is finished is kept, the next run goes on."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import halted
from patience import until
from small import OPTIONS, Done, World, tal
from test_shell_interrupts import INTERRUPTED, TAL, ended, start

HALTING = halted.before("tal.shards", 8) + TAL
"""A command that does not finish more than 8 videos of 10."""


def test_a_run_that_is_interrupted_while_it_extracts_goes_on_and_ends_as_if_nothing_had_been(
    tmp_path: Path, world: World, ran: Done
) -> None:
    data = world.data
    words = ["run", data.videos, "-l", data.labels, "-a", data.annotations, "-o", "out", "--quiet", *OPTIONS]
    features = tmp_path / "out" / "features"
    process = start(HALTING, *words, cwd=tmp_path)
    until(lambda: list(features.glob("*.safetensors")), lambda: process.poll() is None)
    status, lines = ended(process, signal.SIGINT)
    assert (status, lines[-1]) == (130, INTERRUPTED)
    finished = {path: path.stat().st_ino for path in features.glob("*.safetensors")}
    assert 0 < len(finished) < 10
    done = tal(*words, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert finished.items() <= {path: path.stat().st_ino for path in features.glob("*.safetensors")}.items()
    for path in (world.folder / "out" / "features").glob("*.safetensors"):
        assert (features / path.name).read_bytes() == path.read_bytes()
    found, expected = (Path(folder) / "out/runs/stpn/detections.json" for folder in (tmp_path, world.folder))
    assert json.loads(found.read_text())["results"] == json.loads(expected.read_text())["results"]


def test_a_localization_that_is_interrupted_keeps_what_it_made(tmp_path: Path, world: World, ran: Done) -> None:
    model, cache = world.folder / "out" / "runs" / "stpn", tmp_path / "cache"
    shutil.copytree(world.cache / "calibrate", cache / "calibrate")  # the weights that the model's features came from
    words = ["localize", world.data.videos, "--model", model, "-o", "found.json", "--quiet"]
    process = start(HALTING, *words, cwd=tmp_path)
    until(lambda: kept(cache), lambda: process.poll() is None)
    status, lines = ended(process, signal.SIGINT)
    assert (status, lines[-1]) == (130, INTERRUPTED) and not (tmp_path / "found.json").exists()
    finished = kept(cache)
    assert 0 < len(finished) < 10
    done = tal(*words, cwd=tmp_path, cache=cache)
    assert done.returncode == 0, done.stderr
    assert finished.items() <= kept(cache).items()
    expected = json.loads((model / "detections.json").read_text())["results"]
    assert json.loads((tmp_path / "found.json").read_text())["results"] == expected


def kept(cache: Path) -> dict[Path, int]:
    """Return the extracted videos in a cache, with the inode of each."""
    found = (path for path in cache.glob("extract/??/*/entry.json") if path.parent.suffix != ".work")
    return {path: path.stat().st_ino for path in found}
