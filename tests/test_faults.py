"""Videos that take their process down, processes that are killed, disks that fill up, and what is left of a batch."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import faulty
import pytest
from faulty import Batch, Heard, assert_whole, engines
from patience import until

from tal import shards
from tal.errors import BackendError, StorageError
from tal.ledger import Ledger, ledger_path
from tal.pipeline import planning, supervising
from tal.pipeline.planning import plan_extraction
from tal.settings import ExtractSettings, Settings

batch = faulty.batch  # a fixture


def test_a_poison_video_is_isolated_and_marked_and_the_batch_goes_on(batch: Batch) -> None:
    batch.add(a="fail", b="damaged", c="segv", d="")
    report = batch.extract("all")
    assert sorted(report.made) == ["b", "d"] and list(report.remarks) == ["b"]
    path = batch.videos / "c.mp4"
    why = f"{path}: the process that decoded it died twice (SIGSEGV); --retry-failed tries it again"
    assert report.failures == {"a": f"{batch.videos / 'a.mp4'}: broken", "c": why}
    assert batch.look().counts == {"waiting": 0, "running": 0, "done": 1, "damaged": 1, "failed": 1, "poison": 1}
    died = "the extracting process died (SIGSEGV) with 1 video in work; going on, these come last, one by one"
    assert batch.heard.said.count(died) == 1
    assert batch.extract().failures["c"] == why  # in this process: it is not even tried
    finished = batch.finished()
    again = batch.extract("suspects", retry_failed=True)  # in a child of its own
    assert again.failures["c"] == why and batch.records()["c"].attempts == 3
    path.write_text("c, mended")
    mended = batch.extract()
    assert mended.made == ("c",) and list(mended.failures) == ["a"]
    assert batch.records()["a"].attempts == 4  # once in the first child, then once per call
    assert_whole(batch, finished, n_again=3)


def test_a_crash_that_does_not_come_back_costs_nothing(batch: Batch) -> None:
    batch.add(a="", b="once kill")
    report = batch.extract("all")
    assert sorted(report.made) == ["a", "b"] and not report.failures
    assert any("died (SIGKILL, as when memory runs out) with 1 video in work" in one for one in batch.heard.said)
    assert [one.crashes for one in batch.records().values()] == [0, 0]
    assert_whole(batch, batch.finished(), n_again=1)


def test_a_dry_run_names_poison_videos(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch.add(a="", b="")
    batch.extract()
    (batch.out / "a.safetensors").unlink()
    with Ledger(batch.out) as ledger:
        ledger.put([replace(one, state="poison", note="died twice") for one in ledger.records().values()])
    monkeypatch.setattr(planning, "recipe_if_there", engines().recipe)
    settings = engines().recipe(_context(batch), []).settings
    given = {"settings": Settings(extract=settings), "cache": batch.cache}
    monkeypatch.setattr(planning, "resolved", lambda settings, device: settings)
    told = {one.path.stem: (one.action, one.reason) for one in plan_extraction(batch.videos, batch.out, **given).videos}
    assert told == {"a": ("unusable", "died twice"), "b": ("keep", "")}  # the shard of b is there all the same
    again = plan_extraction(batch.videos, batch.out, only=["a"], retry_failed=True, **given)
    assert [one.action for one in again.videos] in (["make"], ["unusable"])  # no decoder reads what stands in it
    assert "died" not in again.videos[0].reason


def test_a_child_that_dies_before_any_video_ends_the_batch_with_one_line(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch.add(a="")
    monkeypatch.setattr(supervising, "_command", lambda: [sys.executable, "-c", "import os; os._exit(7)"])
    with pytest.raises(BackendError) as error:
        batch.extract("all")
    assert str(error.value) == (
        "the extracting process died (exit status 7) with no video in work; what it printed last says more, "
        "--isolate none runs without it"
    )


def test_errors_of_the_child_are_ours(batch: Batch) -> None:
    batch.add(a="", b="")
    batch.extract()
    (batch.out / "b.safetensors").unlink()
    (batch.out / ".locks" / "b.lock").unlink()
    (batch.out / ".locks" / "b.lock").mkdir()  # no lock can be taken there
    with pytest.raises(StorageError, match=r"^cannot write .*b\.lock: Is a directory; choose another place$"):
        batch.extract("all")


class Interrupting(Heard):
    """Ctrl-C arrives when the first video is told of."""

    def say(self, text: str) -> None:
        if "failed" in text:
            raise KeyboardInterrupt


def test_an_interruption_ends_the_child_and_gives_its_videos_back(batch: Batch) -> None:
    batch.add(a="fail", **{f"b{i}": "long" for i in range(20)})
    with pytest.raises(KeyboardInterrupt):
        batch.extract("all", progress=Interrupting())
    found = batch.look()
    assert found.workers == () and found.counts["running"] == 0 and found.counts["waiting"] > 0
    for path in batch.videos.glob("*.mp4"):
        path.write_text(path.stem)  # quick now
    report = batch.extract()
    assert len(report.shards) == 21 and batch.records()["b19"].crashes == 0


def test_kills_at_any_moment_lose_nothing_and_repeat_nothing(batch: Batch) -> None:
    names = [f"v{i:02}" for i in range(24)]
    batch.add(**{name: "long" if name in names[7::8] else "slow" for name in names})  # it cannot be done before a kill
    job = supervising.Job.of([batch.videos], batch.out, supervising.Selection(), False, _context(batch))
    text, random_s = job.isolated("suspects").to_json() + "\n", random.Random(5)
    finished: dict[str, int] = {}
    for i in range(3):
        process = subprocess.Popen(engines().command(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        process.stdin.write(text)  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        _wait_for_more(batch, len(finished), process)
        time.sleep(random_s.uniform(0, 0.2))
        process.kill()
        process.wait()
        process.stdin.close()  # type: ignore[union-attr]
        assert finished.items() <= batch.finished().items()  # nothing lost, nothing made again
        finished = batch.finished()
        (batch.videos / f"{names[8 * i + 7]}.over").touch()
    report = batch.extract()
    assert not report.failures and set(report.kept) == set(finished) and len(batch.content()) == 24
    assert_whole(batch, finished, n_again=3 * engines().IN_FLIGHT)


def _context(batch: Batch) -> object:
    from tal.pipeline.context import context

    return context(Settings(), batch.cache, None)


def _wait_for_more(batch: Batch, n: int, process: subprocess.Popen[str]) -> None:
    until(lambda: len(batch.finished()) > n, lambda: process.poll() is None)


def test_two_batches_on_one_folder_share_the_work(batch: Batch) -> None:
    batch.add(**{f"v{i:02}": "slow" for i in range(12)})
    reports = []
    both = [threading.Thread(target=lambda: reports.append(batch.extract())) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted([*reports[0].made, *reports[1].made]) == [f"v{i:02}" for i in range(12)]
    assert_whole(batch, batch.finished(), n_again=0)


def test_a_second_run_reads_neither_videos_nor_shards_that_look_as_before(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch.add(a="", b="")
    batch.extract()
    read = shards.read
    opened: list[str] = []
    monkeypatch.setattr(shards, "read", lambda path: opened.append(path.stem) or read(path))
    assert batch.extract().kept == ("a", "b") and opened == []
    os.utime(batch.out / "a.safetensors", (1, 1))
    assert batch.extract().kept == ("a", "b") and opened == ["a"]
    content = (batch.out / "b.safetensors").read_bytes()
    (batch.out / "b.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert batch.extract().made == ("b",)
    ledger_path(batch.out).unlink()
    opened.clear()
    assert batch.extract().made == () and set(opened) == {"a", "b"}
    settings = Settings(extract=ExtractSettings(stride=8))
    assert batch.extract(settings=settings).made == ("a", "b")


def test_half_written_shards_of_killed_processes_go_when_the_video_is_made(batch: Batch) -> None:
    batch.add(a="")
    batch.out.mkdir()
    for name in ("a", "other"):
        (batch.out / f".{name}.safetensors.123.part").write_bytes(b"half")
    batch.extract()
    assert [path.name for path in batch.out.glob(".*.part")] == [".other.safetensors.123.part"]


def test_signals_are_named() -> None:
    assert supervising.DiedError(1, -signal.SIGSEGV).how == "SIGSEGV"
    assert supervising.DiedError(1, -signal.SIGKILL).how == "SIGKILL, as when memory runs out"
    assert supervising.DiedError(1, 3).how == "exit status 3" and supervising.DiedError(1, -99).how == "signal 99"


def test_a_job_survives_json(batch: Batch) -> None:
    selection = supervising.Selection(skip=("*x",), without=frozenset(["a"]))
    job = supervising.Job.of([Path(os.fsdecode(b"v\xff"))], Path("o"), selection, True, _context(batch))
    text = job.to_json()
    assert "\n" not in text and supervising.Job.from_json(text) == job
    assert Settings.model_validate(json.loads(text)["settings"]) == Settings()
