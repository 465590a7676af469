"""`tal extract --engine ray` as the first process of a container, with the little shared memory that Docker gives."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty import Batch, assert_whole
from patience import WAIT_S, until
from test_faults_container import PATHS, UNSHARE, children, containers, start, state
from test_shell_interrupts import HEEDING, INTERRUPTED, TERMINATED

__all__ = ["containers"]

MOUNT = ("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", "/dev/shm")
ON_RAY = f"""
{HEEDING}
import subprocess
subprocess.run({MOUNT!r}, check=True)
{PATHS}
import faulty, ray, ray_made
from tal.pipeline import ray_extraction
faulty.engines().install(setattr)
ray_extraction.recipe_for = faulty.engines().recipe
init = ray.init
ray.init = lambda *given, **more: init(*given, runtime_env=ray_made.faulty_env(), **more)
from cli.entry import main
main()
"""
"""The command line with engines that cost nothing, in the driver and in Ray's workers."""


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    pytest.importorskip("ray", reason="needs Ray: pip install 'tal[ray]'")
    return Batch(tmp_path, monkeypatch)


@pytest.fixture
def on_ray(containers: list[subprocess.Popen[str]], batch: Batch) -> Callable[[], tuple[subprocess.Popen[str], int]]:
    """Begin the batch as the first process of a container; return who waits for it, and its number outside."""
    if subprocess.run([*UNSHARE, *MOUNT], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small /dev/shm")
    return lambda: start(containers, ON_RAY, batch, "extract", batch.videos, "-o", batch.out, "--engine", "ray")


def descendants(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *descendants(child))]


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_told_to_end_it_ends_with_all_of_ray_and_the_next_run_ends_the_batch(
    batch: Batch, on_ray: Callable[[], tuple[subprocess.Popen[str], int]]
) -> None:
    batch.add(a="", b="long", c="long")
    process, first = on_ray()
    until(batch.finished, going_on=lambda: process.poll() is None)
    inside = descendants(first)
    os.kill(first, signal.SIGTERM)
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 143 and said.splitlines()[-1] == TERMINATED, said
    assert all(state(one) == "gone" for one in inside)
    finished = batch.finished()
    assert set(finished) == {"a"} and batch.look().counts["running"] == 0
    for name in "bc":
        (batch.videos / f"{name}.over").touch()
    process, _ = on_ray()
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    assert set(batch.finished()) == set("abc")
    assert_whole(batch, finished, n_again=2)


def test_interrupted_while_ray_starts_it_ends(
    on_ray: Callable[[], tuple[subprocess.Popen[str], int]], batch: Batch
) -> None:
    batch.add(a="long")
    process, first = on_ray()
    inside = until(
        lambda: [one for one in descendants(first) if name_of(one) == "raylet"], lambda: process.poll() is None
    )
    os.kill(first, signal.SIGINT)
    _, said = process.communicate(timeout=WAIT_S)
    assert (process.returncode, said.splitlines()[-1]) == (130, INTERRUPTED), said
    assert state(inside[0]) == "gone" and not batch.finished()
