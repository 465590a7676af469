"""The ledger's file: lost, damaged, newer, on full, closed and shared disks; what is read of it and of shards."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from ledgers import add_shard

from tal import shards
from tal.ledger import Ledger, Record, ledger_path, look, of_shard, schema, stamp


def test_a_lost_ledger_is_written_anew_from_the_shards(tmp_path: Path) -> None:
    add_shard(tmp_path, "a"), add_shard(tmp_path, "b", duration_s=5.0)
    (tmp_path / f"c{shards.SUFFIX}").write_bytes(b"half")
    said: list[str] = []
    with Ledger(tmp_path, said.append) as ledger:
        found = ledger.records()
    assert said == [f"{ledger_path(tmp_path)}: not there; written anew from the headers of 2 shards"]
    assert {name: one.duration_s for name, one in found.items()} == {"a": 2.0, "b": 5.0}
    assert found["a"].digest == shards.header(tmp_path / "a.safetensors").digest and found["a"].state == "done"
    with Ledger(tmp_path, said.append) as ledger:
        assert len(said) == 1


@pytest.mark.parametrize("damage", ["text", "cut", "flipped", "other"])
def test_a_damaged_ledger_is_set_aside_and_written_anew(tmp_path: Path, damage: str) -> None:
    add_shard(tmp_path, "a")
    with Ledger(tmp_path) as ledger:
        ledger.put(Record(f"v{i}", note="x" * 200) for i in range(400))
    path = ledger_path(tmp_path)
    content = path.read_bytes()
    if damage == "other":
        path.unlink()
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE other (one)")
            db.execute("PRAGMA user_version = 1")
        db.close()
    else:
        middle = b"\xff" * 4096
        bad = {
            "text": b"no database " * 99,
            "cut": content[:5000],
            "flipped": content[:8192] + middle + content[12288:],
        }
        path.write_bytes(bad[damage])
    said: list[str] = []
    with Ledger(tmp_path, said.append) as ledger:
        assert list(ledger.records()) == ["a"]
    assert said == [f"{path}: damaged, set aside; written anew from the headers of 1 shards"]
    assert path.with_name("ledger.damaged.sqlite").is_file()


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with Ledger(tmp_path):
        pass
    with sqlite3.connect(ledger_path(tmp_path)) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before, said = ledger_path(tmp_path).read_bytes(), []
    with Ledger(tmp_path, said.append) as ledger:
        assert ledger.records() == {} and not said
        assert ledger.claim("a", "", "k") and ledger.claim("b", "", "k")
    word = "written by a newer version of tal (format 99, known: 1)"
    assert said == [f"{ledger_path(tmp_path)}: {word}; going on without the ledger, the shards are what counts"]
    assert ledger_path(tmp_path).read_bytes() == before


def test_a_full_disk_ends_the_ledger_and_not_the_batch(tmp_path: Path) -> None:
    said: list[str] = []
    with Ledger(tmp_path, said.append) as ledger:
        pages = ledger._store._db.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[union-attr]
        ledger._store._db.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[union-attr]
        for i in range(300):
            assert ledger.claim(f"v{i}", "x" * 100, "k")
            ledger.finish(Record(f"v{i}", state="done", key="k"))
        assert not ledger.is_open
    word = "database or disk is full"
    assert said == [f"{ledger_path(tmp_path)}: {word}; going on without the ledger, the shards are what counts"]


def test_a_folder_that_cannot_be_written_is_told_of_once_something_was_to_be_written(tmp_path: Path) -> None:
    (tmp_path / ".tal").write_text("in the way")
    said: list[str] = []
    with Ledger(tmp_path, said.append) as ledger:
        assert ledger.records() == {} and ledger.reap() == 0 and said == []
        assert ledger.claim("a", "", "k") and ledger.claim("b", "", "k")
    assert len(said) == 1 and said[0].endswith("; going on without the ledger, the shards are what counts")


def test_the_write_ahead_log_is_used_on_local_disks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mode(folder: Path) -> str:
        with Ledger(folder) as ledger:
            return str(ledger._store._db.execute("PRAGMA journal_mode").fetchone()[0])  # type: ignore[union-attr]

    assert schema.is_shared(tmp_path) or mode(tmp_path / "local") == "wal"
    monkeypatch.setattr(schema, "is_shared", lambda path: True)
    assert mode(tmp_path / "shared") == "delete"


def test_network_file_systems_are_known_by_the_deepest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\nhost:/x /data nfs4 rw 0 0\n/dev/sdb /data/local xfs rw 0 0\n")
    told = {at: schema.is_shared(Path(at), mounts) for at in ("/data/a", "/data/local/a", "/database", "/home")}
    assert told == {"/data/a": True, "/data/local/a": False, "/database": False, "/home": False}


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path = add_shard(tmp_path, "a", 1.0)
    first = stamp(path)
    assert stamp(path) == first and stamp(tmp_path / "none") == ""
    add_shard(tmp_path, "a", 2.0)  # as long as the first
    assert stamp(path) != first
    assert of_shard(path, "look").shard == stamp(path) and of_shard(path).shard == ""


def test_a_look_changes_nothing(tmp_path: Path) -> None:
    add_shard(tmp_path, "a")
    with Ledger(tmp_path) as ledger:
        ledger.claim("b", "", "k")
        look(tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file())
    assert look(tmp_path).counts["done"] == 1
    after = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file())
    assert [one for one in after if one[0].suffix not in (".sqlite-shm", ".sqlite-wal")] == before
