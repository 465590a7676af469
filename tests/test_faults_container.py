"""`tal` as the first process of a container: it is told to end, its children die, and nobody else sees to orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import faulty
import pytest
from faulty import Batch, assert_whole, engines
from patience import NAPS, WAIT_S, until
from test_shell_interrupts import TERMINATED

ROOT = Path(__file__).parents[1]
UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
PATHS = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n"
FAULTY = PATHS + "import faulty; faulty.engines().install(setattr); from cli.entry import main; main()"
"""The command line with engines that cost nothing."""


batch = faulty.batch  # a fixture


@pytest.fixture
def containers() -> Iterator[list[subprocess.Popen[str]]]:
    """What was started, all of which is ended; tests that need them skip where namespaces are not allowed."""
    try:
        allowed = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("needs the program unshare and the right to make a namespace of processes")
    started: list[subprocess.Popen[str]] = []
    yield started
    for one in started:
        one.kill()
        one.communicate()


def start(
    containers: list[subprocess.Popen[str]], code: str, batch: Batch, *words: object
) -> tuple[subprocess.Popen[str], int]:
    """Start Python as the first process of a container; return who waits for it, and its number outside."""
    process = subprocess.Popen(
        [*UNSHARE, sys.executable, "-c", code, *map(str, words)],
        env={**os.environ, "TAL_CACHE": str(batch.cache.root)},
        text=True,
        **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE),
    )
    containers.append(process)
    (first,) = until(lambda: children(process.pid))
    return process, first


def children(pid: int, dead: bool = False) -> list[int]:
    """Return a process's children: those that live, or those that nobody has collected."""
    try:
        found = [
            int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
        ]
        return [one for one in found if (now := state(one)) != "gone" and (now in "ZX") == dead]
    except OSError:
        return []


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def test_told_to_end_it_ends_with_its_children_and_the_next_run_goes_on(
    batch: Batch, containers: list[subprocess.Popen[str]]
) -> None:
    batch.add(**{f"v{i:02}": "" if i < 4 else "long" for i in range(20)})
    process, first = start(containers, FAULTY, batch, "extract", batch.videos, "-o", batch.out)
    until(batch.finished)
    inside = children(first)
    os.kill(first, signal.SIGTERM)
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 143 and said.splitlines()[-1] == TERMINATED
    assert inside and all(state(one) == "gone" for one in inside)
    finished = batch.finished()
    assert len(finished) <= 4 and batch.look().counts["running"] == 0
    for path in list(batch.videos.iterdir()):
        path.with_suffix(".over").touch()
    assert len(batch.extract().shards) == 20
    assert_whole(batch, finished, n_again=engines().IN_FLIGHT)


STARTING = f"""
class Slow:
    def find_spec(self, name, *_):
        if name == "cli.app":
            import time
            print("loading", flush=True)
            {NAPS}
sys.meta_path.insert(0, Slow())
from cli.entry import main
main()
"""


def test_told_to_end_while_it_is_loaded_it_ends(batch: Batch, containers: list[subprocess.Popen[str]]) -> None:
    """The kernel keeps signals from a first process that has no handler for them."""
    process, first = start(containers, PATHS + STARTING, batch, "--help")
    assert process.stdout is not None and process.stdout.readline() == "loading\n"
    os.kill(first, signal.SIGTERM)
    _, said = process.communicate(timeout=WAIT_S)
    assert (process.returncode, said.strip()) == (143, "terminated; nothing was begun")


@pytest.mark.parametrize(
    ("how", "status", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_outside_of_containers_it_ends_with_the_same_word(how: signal.Signals, status: int, word: str) -> None:
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{PATHS}{STARTING}"
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:
        assert process.stdout is not None and process.stdout.readline() == "loading\n"
        process.send_signal(how)
        _, said = process.communicate(timeout=WAIT_S)
    assert (process.returncode, said.strip()) == (status, f"{word}; nothing was begun")


def test_what_dead_children_leave_behind_is_collected_and_their_videos_are_made(
    batch: Batch, containers: list[subprocess.Popen[str]]
) -> None:
    """The child is killed, then the next one, which has the suspect decoded by a child of its own."""
    batch.add(a="", b="", c="long")
    process, first = start(containers, FAULTY, batch, "extract", batch.videos, "-o", batch.out)
    until(lambda: len(batch.finished()) == 2 and batch.look().counts["running"] == 1)
    (child,) = children(first)
    os.kill(child, signal.SIGKILL)
    (grandchild,) = until(lambda: [one for other in children(first) if other != child for one in children(other)])
    (child,) = children(first)
    until(lambda: batch.records()["c"].state == "running")
    os.kill(child, signal.SIGKILL)
    until(lambda: state(child) == state(grandchild) == "gone" and not children(first, dead=True))
    finished = batch.finished()
    (batch.videos / "c.over").touch()
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    assert said.count("the extracting process died (SIGKILL, as when memory runs out) with 1 video in work") == 2
    assert_whole(batch, finished, n_again=2 + engines().IN_FLIGHT)
