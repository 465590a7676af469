"""The ledger: what it keeps, who may take a video, who has died."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import dead, enter
from patience import until

from tal.ledger import Ledger, Record, leave_all, ledger_path, recorded
from tal.ledger.workers import LEASE_S, Pulse, Worker

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
records = st.builds(
    Record,
    name=texts,
    path=texts,
    state=st.sampled_from(["done", "damaged", "failed", "poison"]),
    note=texts,
    attempts=st.integers(0, 9),
    crashes=st.integers(0, 9),
    key=texts,
    duration_s=st.none() | st.floats(0, 1e6),
    n_snippets=st.none() | st.integers(0, 10**9),
    seconds=st.dictionaries(texts, st.floats(0, 1e6), max_size=3),
    begun=st.none() | st.floats(0, 1e10),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(records, max_size=5, unique_by=lambda one: one.name))
def test_what_is_written_down_is_read_again(found: list[Record]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder)) as ledger:
        ledger.put(found)
        assert ledger.records() == {one.name: one for one in found}
        ledger.put(found)  # the same again changes nothing
        assert ledger.records() == {one.name: one for one in found}
        assert recorded(Path(folder)) == ledger.records()


def test_a_video_goes_from_waiting_to_running_to_done(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.expect([Record("a", "/v/a.mp4", key="k")])
        assert ledger.records()["a"] == Record("a", "/v/a.mp4", key="k")
        assert ledger.claim("a", "/v/a.mp4", "k")
        running = ledger.records()["a"]
        assert (running.state, running.attempts, running.worker) == ("running", 1, ledger.worker.id)
        ledger.finish(Record("a", "/v/a.mp4", "failed", "broken", key="k"))
        ledger.expect([Record("a", "/v/a.mp4", key="k")])
        assert ledger.records()["a"].state == "waiting" and ledger.claim("a", "/v/a.mp4", "k")
        ledger.finish(Record("a", "/v/a.mp4", "damaged", "a gap", key="k", duration_s=3.0, seconds={"decode": 1.5}))
        done = ledger.records()["a"]
    assert (done.state, done.attempts, done.note, done.seconds) == ("damaged", 2, "a gap", {"decode": 1.5})
    assert done.begun is not None and done.ended is not None


def test_another_key_counts_attempts_and_crashes_anew(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.put([Record("a", state="poison", attempts=3, crashes=2, key="old")])
        one = ledger.records()["a"]
        assert one.crashes_with("old") == 2 and one.crashes_with("new") == 0
        ledger.expect([Record("a", key="new", crashes=one.crashes_with("new"))])
        assert ledger.records()["a"] == Record("a", key="new")


def test_an_interruption_gives_a_video_back_and_a_finished_one_stays(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for name in "ab":
            ledger.claim(name, "", "k")
        ledger.finish(Record("b", state="done", key="k"))
        for name in "ab":
            ledger.release(name)
        found = ledger.records()
    assert (found["a"].state, found["a"].crashes, found["b"].state) == ("waiting", 0, "done")


def test_a_video_that_was_taken_again_is_given_back(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger, Ledger(tmp_path) as other:
        ledger.claim("a", "", "k")
        ledger.finish(Record("a", state="failed", note="broken", key="k"))
        ledger.release("a")
        assert ledger.records()["a"].state == "failed"
        ledger.claim("a", "", "k"), ledger.release("a")
        assert ledger.records()["a"].state == "waiting" and ledger.records()["a"].attempts == 2
        other.claim("a", "", "k"), ledger.release("a")  # no longer ours
        assert ledger.records()["a"].state == "running"


def test_nothing_is_known_where_there_is_no_ledger(tmp_path: Path) -> None:
    assert recorded(tmp_path) == {} and not list(tmp_path.iterdir())


def test_a_process_that_is_told_to_end_gives_all_back_at_once(tmp_path: Path) -> None:
    with Ledger(tmp_path / "one") as one, Ledger(tmp_path / "other") as other:
        for ledger in (one, other):
            ledger.claim("a", "", "k"), ledger.claim("b", "", "k")
        one.finish(Record("b", state="done", key="k"))
        leave_all()
        assert {name: found.state for name, found in one.records().items()} == {"a": "waiting", "b": "done"}
        assert {found.state for found in other.records().values()} == {"waiting"}


def test_of_several_writers_one_gets_each_video(tmp_path: Path) -> None:
    names, taken = [f"v{i}" for i in range(40)], []

    def work(ledger: Ledger) -> None:
        taken.extend(name for name in names if ledger.claim(name, "", "k"))

    with Ledger(tmp_path) as a, Ledger(tmp_path) as b, Ledger(tmp_path) as c:
        threads = [threading.Thread(target=work, args=[ledger]) for ledger in (a, b, c)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sorted(taken) == sorted(names)
        assert {one.attempts for one in a.records().values()} == {1}


def test_what_a_living_process_has_in_work_is_not_taken(tmp_path: Path) -> None:
    with Ledger(tmp_path) as one, Ledger(tmp_path) as other:
        assert one.claim("a", "", "k") and not other.claim("a", "", "k")
        assert other.reap() == 0
        one.release("a")
        assert other.claim("a", "", "k")


def test_what_a_dead_process_had_in_work_is_given_back_and_counted(tmp_path: Path) -> None:
    enter(tmp_path, replace(Worker.here(), pid=dead()), "a")
    with Ledger(tmp_path) as ledger:
        assert ledger.reap() == 1 and ledger.reap() == 0
        assert (ledger.records()["a"].state, ledger.records()["a"].crashes) == ("waiting", 1)
        enter(tmp_path, replace(Worker.here(), pid=dead()), "a")
        assert ledger.claim("a", "", "k")  # without reaping, as when it died a moment ago
        assert (ledger.records()["a"].attempts, ledger.records()["a"].crashes) == (3, 2)


def test_a_process_number_that_was_given_anew_does_not_count_as_alive(tmp_path: Path) -> None:
    me = Worker.here()
    assert me.is_alive(me) is True
    if me.started:  # known on Linux alone
        assert replace(me, started=me.started - 1).is_alive(me) is False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    me = Worker.here()
    state = Path(f"/proc/{process.pid}/stat")
    until(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z")
    started = int(state.read_text().rpartition(")")[2].split()[19])
    assert replace(me, pid=process.pid, started=started).is_alive(me) is False
    process.wait()


def test_a_machine_that_was_started_anew_has_lost_its_processes_and_blames_no_video(tmp_path: Path) -> None:
    enter(tmp_path, replace(Worker.here(), boot="the one before"), "a")
    with Ledger(tmp_path) as ledger:
        assert ledger.reap() == 1
        assert (ledger.records()["a"].state, ledger.records()["a"].crashes) == ("waiting", 0)


@pytest.mark.parametrize("field", ["node", "space"])
def test_a_worker_elsewhere_keeps_its_video_while_its_heart_beats_whatever_the_clocks_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    elsewhere, now = replace(Worker.here(), **{field: "elsewhere"}), [0.0]
    enter(tmp_path, elsewhere, "a")
    beat = "UPDATE workers SET beats = beats + 1"
    with Ledger(tmp_path, pulse=Pulse(lambda: now[0])) as ledger:
        for jump_s in (0.0, -1e8, 1e8, -1e8):
            monkeypatch.setattr(time, "time", lambda jump_s=jump_s: 1.7e9 + jump_s)
            assert ledger.reap() == 0 and not ledger.claim("a", "", "k")
            now[0] += LEASE_S - 1
            assert not ledger.claim("a", "", "k")
            with sqlite3.connect(ledger_path(tmp_path)) as db:
                db.execute(beat)
            db.close()
        assert not ledger.claim("a", "", "k")
        now[0] += LEASE_S - 0.001
        assert not ledger.claim("a", "", "k")
        now[0] += 0.002
        assert ledger.claim("a", "", "k")  # its heart stood still for a lease of our own time
        assert ledger.records()["a"].crashes == 0


def test_a_process_that_was_seen_to_die_makes_suspects_of_what_it_had_in_work(tmp_path: Path) -> None:
    pid = dead()
    enter(tmp_path, replace(Worker.here(), pid=pid), "a")
    with Ledger(tmp_path) as ledger:
        ledger.put([Record("b", state="done"), Record("c", state="waiting")])
        assert ledger.blame(pid) == ["a"] and ledger.blame(pid) == []
        assert (ledger.records()["a"].state, ledger.records()["a"].crashes) == ("waiting", 2)
        assert ledger.records()["c"].crashes == 0
