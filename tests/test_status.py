"""What `tal status` tells of a batch."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ledgers import add_shard, dead, enter
from small import tal

from cli.status import span
from tal.errors import InputError
from tal.ledger import Ledger, Record, ledger_path, look
from tal.ledger.workers import Worker


def fill(folder: Path) -> None:
    """Four videos that ended at 10 s each, one that waits; two of them failed."""
    for name in "ab":
        add_shard(folder, name)
    with Ledger(folder) as ledger:
        records = [
            Record("a", state="done", duration_s=30.0),
            Record("b", state="damaged", note="gap", duration_s=50.0),
        ]
        records += [Record("c", state="failed", note="v/c.mp4: broken"), Record("d", state="poison", note="died")]
        times = [replace(one, begun=1000.0 + 10 * i, ended=1010.0 + 10 * i) for i, one in enumerate(records)]
        ledger.put([*times, Record("e")])


def test_counts_rates_and_what_is_left(tmp_path: Path) -> None:
    fill(tmp_path)
    with Ledger(tmp_path) as ledger:
        ledger.claim("e", "", "k")
        found = look(tmp_path)
    assert found.counts == {"waiting": 0, "running": 1, "done": 1, "damaged": 1, "failed": 1, "poison": 1}
    assert (found.n_finished, found.left, found.lost, found.others, found.duration_s) == (2, 1, 0, 0, 80.0)
    assert found.videos_per_s == pytest.approx(4 / 40) and found.duration_per_s == pytest.approx(80 / 40)
    assert found.eta_s == pytest.approx(10) and [one.name for one in found.running] == ["e"]
    (worker,) = found.workers
    assert worker.n_videos == 1 and worker.pid == Worker.here().pid
    assert look(tmp_path).eta_s is None  # nobody works any more


def test_the_rate_is_that_of_the_last_ten_minutes(tmp_path: Path) -> None:
    old = [Record(f"o{i}", state="failed", begun=0.0, ended=i + 1.0) for i in range(50)]
    new = [Record(f"n{i}", state="failed", begun=9000.0 + 60 * i, ended=9060.0 + 60 * i) for i in range(10)]
    with Ledger(tmp_path) as ledger:
        ledger.put([*old, *new])
    assert look(tmp_path).videos_per_s == pytest.approx(1 / 60)


def test_shards_on_disk_are_the_truth(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a.safetensors").unlink()
    add_shard(tmp_path, "x"), add_shard(tmp_path, "y")
    found = look(tmp_path)
    assert (found.lost, found.others, found.n_finished, found.left) == (1, 2, 3, 2)


def test_what_a_dead_process_had_in_work_waits(tmp_path: Path) -> None:
    enter(tmp_path, replace(Worker.here(), pid=dead()), "a")
    found = look(tmp_path)
    assert (found.counts["running"], found.counts["waiting"], found.workers) == (0, 1, ())


def test_a_worker_elsewhere_is_shown_while_it_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    enter(tmp_path, replace(Worker.here(), node="elsewhere"), "a")
    assert [one.node for one in look(tmp_path).workers] == ["elsewhere"]
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert look(tmp_path).workers == () and look(tmp_path).left == 1


@pytest.mark.parametrize("state", ["lost", "damaged"])
def test_without_a_ledger_the_shards_tell(tmp_path: Path, state: str) -> None:
    fill(tmp_path)
    ledger_path(tmp_path).unlink() if state == "lost" else ledger_path(tmp_path).write_bytes(b"none" * 99)
    found = look(tmp_path)
    assert found.counts["done"] == 2 and found.duration_s == 4.0
    assert found.note.startswith(f"{ledger_path(tmp_path)}: ") and found.note.endswith(
        "told from the headers of 2 shards"
    )


def test_a_folder_without_a_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        look(tmp_path / "none")
    said = f"{tmp_path / 'none'}: no shards and no ledger here; name the folder that 'tal extract' fills"
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h"), (3600, "1 h"), (12000, "3 h 20 min"), (190800, "2 d 5 h")],
)
def test_spans_read_so(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_the_command_shows_a_batch(tmp_path: Path) -> None:
    fill(tmp_path)
    done = tal("status", tmp_path, "--failed", cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0 and not done.stderr
    assert "2 of 5 videos, 0.0222 hours, nobody at work" in done.stdout
    assert "v/c.mp4: broken" in done.stdout and "poison" in done.stdout
    done = tal("status", tmp_path, "--json", cwd=tmp_path, cache=tmp_path / "cache")
    told = json.loads(done.stdout)
    assert (told["finished"], told["left"], told["counts"]["failed"], told["troubles"]) == (2, 1, 1, [])
    assert (told["videos_per_s"], told["eta_s"]) == (0.1, None)


def test_watching_ends_when_nobody_works(tmp_path: Path) -> None:
    fill(tmp_path)
    done = tal("status", tmp_path, "--watch", cwd=tmp_path, cache=tmp_path / "cache")
    assert done.stdout == "2 of 5 videos, 0.0222 hours, nobody at work\n"
    done = tal("status", tmp_path, "--watch", "--json", "--failed", cwd=tmp_path, cache=tmp_path / "cache")
    (line,) = done.stdout.splitlines()
    assert [one["name"] for one in json.loads(line)["troubles"]] == ["c", "d"]


def test_names_with_markup_and_controls_are_shown_as_they_are(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.put([Record("[red]x[/red]\x1b[2J", state="failed", note="[bold]no[/bold]\n\x07")])
    done = tal("status", tmp_path, "--failed", cwd=tmp_path, cache=tmp_path / "cache")
    assert "[red]x[/red]\\x1b[2J" in done.stdout and "[bold]no[/bold]\\n\\x07" in done.stdout
    assert "\x1b[2J" not in done.stdout and "\x07" not in done.stdout
