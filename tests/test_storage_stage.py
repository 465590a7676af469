"""The bounded stage of local copies, also for several processes, of which some are killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import BASE, Flaky, put, slow_web, staged

from tal.errors import RemoteError
from tal.storage import (
    Remote,
    Stage,
)
from tal.storage.index import Index
from tal.storage.stage import unit_of


def test_the_stage_keeps_what_was_used_last(flaky: type[Flaky], tmp_path: Path) -> None:
    put(a=b"a" * 400, b=b"b" * 400, c=b"c" * 400)
    stage = Stage(tmp_path, limit_gb=1000e-9)
    a, b, c = (staged(stage, name) for name in "abc")
    for path in (a, b, a, c):
        with stage.at_hand(path):
            assert path.read_bytes() == path.name.encode() * 400
    assert (a.exists(), b.exists(), c.exists()) == (True, False, True)
    assert stage.index.total_bytes() == 800
    assert len(stage.sha256(b)) == 64


def test_what_is_in_use_does_not_go_and_is_waited_for(flaky: type[Flaky], tmp_path: Path) -> None:
    put(a=b"a" * 600, b=b"b" * 600)
    stage = Stage(tmp_path, limit_gb=1000e-9)
    a, b = staged(stage, "a"), staged(stage, "b")
    stage.pin(a)
    thread = threading.Thread(target=stage.pin, args=(b,))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive() and a.exists() and not b.exists()
    stage.unpin(a)
    thread.join()
    assert b.exists() and not a.exists()
    stage.close()


def test_another_process_may_exceed_the_bound_but_takes_nothing_away(flaky: type[Flaky], tmp_path: Path) -> None:
    put(a=b"a" * 600, b=b"b" * 600)
    one, other = Stage(tmp_path, limit_gb=1000e-9), Stage(tmp_path, limit_gb=1000e-9)
    a, b = staged(one, "a"), staged(other, "b")
    with one.at_hand(a), other.at_hand(b):
        assert a.exists() and b.exists()


def test_what_is_larger_than_the_stage_is_told_with_a_remedy(flaky: type[Flaky], tmp_path: Path) -> None:
    stage = Stage(tmp_path, limit_gb=2)
    (path,) = stage.place([Remote(f"{BASE}/big.mp4", 3_500_000_000, "1")])
    with pytest.raises(RemoteError) as caught:
        stage.pin(path)
    remedy = "local copies may take 2 GB; give them more with --set runtime.stage_gb=4"
    assert str(caught.value) == f"{BASE}/big.mp4: 3.5 GB, but {remedy}"


def test_a_digest_outlives_its_copy_and_another_version_is_another_copy(flaky: type[Flaky], tmp_path: Path) -> None:
    import hashlib

    put(a=b"one")
    stage = Stage(tmp_path)
    first = staged(stage, "a")
    assert stage.sha256(first) == ""
    with stage.at_hand(first):
        pass
    put(a=b"two")
    second = staged(stage, "a")
    assert first != second and stage.sha256(first) == hashlib.sha256(b"one").hexdigest() and stage.sha256(second) == ""


def test_a_store_that_tells_no_versions_is_never_trusted_later() -> None:
    remote = Remote("https://host/v.mp4", 3, "")
    program = "from tal.storage import Remote\nfrom tal.storage.stage import unit_of\n"
    program += "print(unit_of(Remote('https://host/v.mp4', 3, '')))"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert len(other.stdout.strip()) == 32 and other.stdout.strip() != unit_of(remote) == unit_of(remote)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60)), max_size=12))
def test_the_index_never_grants_more_than_the_limit(wanted: list[tuple[int, int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        index = Index(Path(folder) / "index.sqlite")
        for unit, n_bytes in wanted:
            assert index.reserve(str(unit), n_bytes, 100, lambda _: True) and index.total_bytes() <= 100


def run(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    folder = Path(__file__).parent
    paths = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(folder.parent)!r}]\n"
    return subprocess.Popen([sys.executable, "-c", paths + program, *map(str, arguments)])


DIES = """
from pathlib import Path
from stores import SCHEME, Deadly, store_of
from tal.storage import Stage, Store
what, place, file = sys.argv[1:]
with store_of(Deadly):
    if what == "put":
        Store(f"{SCHEME}:/{place}").put(Path(file), f"{SCHEME}:/{place}/a.safetensors")
    else:
        stage, store = Stage(Path(place)), Store(f"{SCHEME}:/{file}")
        stage.pin(stage.place([store.look()])[0])
"""


def test_a_kill_in_the_middle_of_a_file_leaves_nothing_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x" * 1000)
    (tmp_path / "store").mkdir()
    sending = run(DIES, "put", tmp_path / "store", tmp_path / "a.mp4")
    fetching = run(DIES, "fetch", tmp_path / "stage", tmp_path / "a.mp4")
    assert sending.wait() == fetching.wait() == -9
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size == 500]
    assert len(left) == 2 and all(path.name[0] == "." and path.name.endswith(".part") for path in left)
    assert not (tmp_path / "store" / "a.safetensors").exists() and not list((tmp_path / "stage").rglob("a.mp4"))


STAGES = """
from pathlib import Path
from tal.storage import Stage, Store
stage = Stage(Path(sys.argv[1]))
(path,) = stage.place([Store(sys.argv[2]).look()])
with stage.at_hand(path):
    Path(sys.argv[3]).write_bytes(path.read_bytes())
"""


def test_two_processes_fetch_one_video_once(tmp_path: Path) -> None:
    content = bytes(range(256)) * 100
    with slow_web(content) as (web, asked):
        processes = [run(STAGES, tmp_path / "stage", f"{web}/v.mp4", tmp_path / str(i)) for i in range(2)]
        assert [one.wait() for one in processes] == [0, 0]
        assert asked == ["/v.mp4"]
    assert [(tmp_path / str(i)).read_bytes() for i in range(2)] == [content, content]


def test_what_a_command_keeps_is_never_waited_for(flaky: type[Flaky], tmp_path: Path) -> None:
    put(a=b"a" * 600, b=b"b" * 600)
    stage = Stage(tmp_path, limit_gb=1000e-9)
    stage.keep(staged(stage, "a"))
    with pytest.raises(RemoteError, match=r"^smb://box/b: 6e-07 GB beside 6e-07 GB in use, but local copies may take"):
        stage.keep(staged(stage, "b"))
    stage.close()
    stage.keep(staged(stage, "b"))
    stage.close()
