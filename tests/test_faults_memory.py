"""Memory that runs out: for Python, for PyTorch, or so that the system kills the process."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import faulty
import pytest
from faulty import Batch, assert_whole
from small import tal

from tal.errors import BackendError
from tal.pipeline import supervising
from tal.pipeline.memory import MemoryShortError, is_short, marked

LATER = "; going on, these come last, one by one and with runtime.batch=1"


batch = faulty.batch  # a fixture


def test_a_video_that_takes_too_much_memory_is_marked_and_the_others_are_made(batch: Batch) -> None:
    batch.add(a="", b="", c="memory", d="")
    report = batch.extract("all")
    assert sorted(report.made) == ["a", "b", "d"]
    remedy = "with more memory, --retry-failed tries it again"
    why = f"{batch.videos / 'c.mp4'}: the process that decoded it died twice (memory ran out); {remedy}"
    assert report.failures == {"c": why} and batch.records()["c"].state == "poison"
    (died,) = (line for line in batch.heard.said if "died (" in line)
    assert died.startswith("the extracting process died (memory ran out) with ") and died.endswith(LATER)
    (batch.videos / "c.mp4").write_text("c, smaller")
    assert batch.extract("all").made == ("c",)
    assert_whole(batch, batch.finished(), n_again=3 + 1)


def test_what_fits_alone_with_one_snippet_at_a_time_is_made(batch: Batch) -> None:
    batch.add(a="", b="greedy", c="")
    report = batch.extract("all")
    assert sorted(report.made) == ["a", "b", "c"] and not report.failures
    assert batch.records()["b"].crashes == 0
    assert_whole(batch, batch.finished(), n_again=3)


def test_the_systems_killer_is_told_from_other_deaths_by_its_signal(batch: Batch) -> None:
    batch.add(a="once kill")
    assert batch.extract("all").made == ("a",)
    (died,) = (line for line in batch.heard.said if "died (" in line)
    assert died == f"the extracting process died (SIGKILL, as when memory runs out) with 1 video in work{LATER}"
    assert_whole(batch, batch.finished(), n_again=1)


@pytest.mark.parametrize("word", ["greedy", "once cuda"])
def test_in_ones_own_process_it_is_one_line_and_the_next_run_isolates(batch: Batch, word: str) -> None:
    batch.add(a="", b=word)
    with pytest.raises(MemoryShortError) as error:
        batch.extract("suspects")
    remedy = "run it again with --set runtime.batch=1, or fewer processes at once"
    assert str(error.value) == f"memory ran out with 1 video in work; {remedy}"
    assert {name: one.crashes for name, one in batch.records().items()} == {"a": 0, "b": 2}
    assert batch.look().counts["waiting"] == 1 and batch.look().workers == ()
    finished = batch.finished()
    assert batch.extract("suspects").made == ("b",) and set(finished) == {"a"}
    assert_whole(batch, finished, n_again=1)


def test_a_machine_without_memory_for_the_networks_ends_the_batch_with_one_line(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lend(*_: object) -> None:
        raise MemoryError

    batch.add(a="")
    monkeypatch.setattr("tal.pipeline.filling.lend_extractor", lend)
    with pytest.raises(BackendError, match=r"^memory ran out before the first video; give it more, or end other"):
        batch.extract("none")


HUNGRY = """
import resource, sys
import torch
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), used + (64 << 20)))
sys.path.insert(0, sys.argv[1])
from tal.pipeline.memory import is_short
held = []
try:
    while True:
        held.append(torch.zeros(1 << 22))
except (MemoryError, RuntimeError) as error:
    del held
    print(type(error).__name__, is_short(error))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_pytorch_that_gets_no_memory_is_understood() -> None:
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", HUNGRY, root], capture_output=True, text=True, check=True)
    assert done.stdout == "RuntimeError True\n"
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY  # the child's limit was its own


def test_other_errors_stay_what_they_are(batch: Batch) -> None:
    assert not is_short(RuntimeError("shapes do not fit")) and not is_short(ValueError("out of memory"))
    with pytest.raises(RuntimeError, match="shapes do not fit"), marked(None, [Path("a")]):  # type: ignore[arg-type]
        raise RuntimeError("shapes do not fit")


def test_the_childs_exit_status_has_a_name() -> None:
    assert supervising.DiedError(1, 12).how == "memory ran out"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes")]
)
def test_any_command_says_in_one_line_that_memory_ran_out(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tal.pipeline.evaluate", Mock(side_effect=error))
    (tmp_path / "detections.json").write_text("{}")
    done = tal("evaluate", "detections.json", "detections.json", cwd=tmp_path, cache=tmp_path)
    remedy = "end other programs, or less at once takes less (--set runtime.batch=1, train.batch_size=2)"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"tal: memory ran out; {remedy}\n")
    monkeypatch.setattr("tal.pipeline.evaluate", Mock(side_effect=RuntimeError("another")))
    with pytest.raises(RuntimeError, match="another"):
        tal("evaluate", "detections.json", "detections.json", cwd=tmp_path, cache=tmp_path)
