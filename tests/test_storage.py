"""URLs, stores that fail, and the bounded stage of local copies."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import SCHEME, Flaky, slow_web, store_of

from tal.errors import RemoteError, StorageError
from tal.storage import (
    Patience,
    Remote,
    Stage,
    StoppedError,
    Store,
    name_in,
    path_of,
    retrying,
    shown,
    stage_folder,
    url_of,
)
from tal.storage.index import Index
from tal.storage.stage import unit_of
from tal.storage.urls import is_inside, safe_name

BASE = f"{SCHEME}://box"


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Flaky]]:
    """An empty store that never waits long."""
    monkeypatch.setattr(retrying, "FIRST_S", 0.0001)
    Flaky.store.clear()
    Flaky.n_failures = Flaky.n_calls = 0
    Flaky.error = ConnectionError("the line is cut")
    with store_of(Flaky) as kind:
        yield kind


def put(**contents: bytes) -> None:
    for name, content in contents.items():
        Flaky().pipe_file(f"/box/{name}", content)


def staged(stage: Stage, name: str) -> Path:
    remote = Store(f"{BASE}/{name}").look()
    assert remote is not None
    return stage.place([remote])[0]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("s3://bucket/a b.mp4", "s3://bucket/a b.mp4"),
        ("S3://bucket/x", "s3://bucket/x"),
        (Path("s3://bucket/x"), "s3://bucket/x"),  # pathlib folds the slashes
        (Path("https://host/v.mp4?sig=1"), "https://host/v.mp4?sig=1"),
        ("videos/s3.mp4", None),
        ("/abs", None),
        ("C:/videos", None),
        ("C:\\videos", None),
        ("file:///abs/x", None),
        ("unknown://x", None),
        ("notes: s3://x", None),
        ("s3:", None),
    ],
)
def test_what_is_a_url(given: str | Path, url: str | None) -> None:
    assert url_of(given) == url


def test_file_urls_are_paths() -> None:
    for text in ("file:///abs/x.mp4", Path("file:///abs/x.mp4"), "local:///abs/x.mp4"):
        assert path_of(text) == Path("/abs/x.mp4")
    assert path_of("rel/x.mp4") == Path("rel/x.mp4")


def test_what_is_shown_holds_no_secret() -> None:
    assert shown("https://me:secret@host/v.mp4?X-Amz-Signature=abc") == "https://host/v.mp4"
    assert shown("s3://bucket/what?.mp4") == "s3://bucket/what?.mp4"


@given(st.text(min_size=0, max_size=300))
def test_no_name_leads_out_of_a_folder_on_any_system(name: str) -> None:
    safe = safe_name(name.encode("utf-8", "replace").decode())
    assert safe not in ("", ".", "..") and not safe.startswith(".") and len(safe.encode()) <= 200
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind("out") / safe
        assert path.parent == kind("out") and path.name == safe and not path.is_absolute()


@given(st.sets(st.text("ab.\\/:%", min_size=1, max_size=5), min_size=2, max_size=2))
def test_different_names_stay_different(names: set[str]) -> None:
    assert len({safe_name(one) for one in names}) == 2


@pytest.mark.parametrize("name", ["..", "a/../b", "/etc/passwd", "a//b", "C:\\x", "C:x", "a\\..\\b", "a\0b", ""])
def test_names_that_lead_out_are_known(name: str) -> None:
    assert not is_inside(name)
    assert is_inside("a/b c/ü.csv")


def test_the_last_part_of_a_web_address_is_the_name() -> None:
    assert name_in("https://host/a/my%20video.mp4?sig=a/b") == "my video.mp4"
    assert name_in("https://host/a/..%2F..%2Fetc") == "%2E.%2F..%2Fetc"


def test_a_store_that_fails_for_a_while_is_asked_again(flaky: type[Flaky], tmp_path: Path) -> None:
    put(a=b"content")
    store = Store(f"{BASE}/a", Patience(retries=3))
    flaky.n_failures = 3
    found = store.look()
    assert found is not None and found.size == 7
    flaky.n_failures = 3
    store.fetch(found, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"content"
    flaky.n_failures = 3
    assert store.put(tmp_path / "a", f"{BASE}/b").size == 7 and flaky().cat("/box/b") == b"content"


def test_a_store_that_goes_on_failing_is_one_line(flaky: type[Flaky]) -> None:
    flaky.n_failures = 100
    with pytest.raises(RemoteError) as caught:
        Store(f"{BASE}/a", Patience(retries=2)).look()
    remedy = "check the network and run it again"
    assert str(caught.value) == f"{BASE}/a: cannot be read (the line is cut), tried 3 times; {remedy}"
    assert flaky.n_calls == 3


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError("Forbidden"), "access denied (Forbidden); check user and password"),
        (ValueError("bad\nname"), "not possible (bad name); check the address"),
        (OSError(errno.ENAMETOOLONG, "too long"), "not possible ([Errno 36] too long); check the address"),
        (NotImplementedError(), "this kind of address can only be read; name another place"),
        (ImportError("x"), "this kind of address needs another package; pip install smbprotocol"),
    ],
)
def test_what_lasts_is_told_at_once(flaky: type[Flaky], error: Exception, told: str) -> None:
    flaky.error, flaky.n_failures = error, 100  # type: ignore[misc]
    with pytest.raises(RemoteError) as caught:
        Store(f"{BASE}/a").look()
    assert str(caught.value) == f"{BASE}/a: {told}" and flaky.n_calls == 1


def test_a_full_local_disk_is_not_the_stores_fault(flaky: type[Flaky], tmp_path: Path) -> None:
    put(a=b"content")
    found = Store(f"{BASE}/a").look()
    flaky.error, flaky.n_failures = OSError(errno.ENOSPC, "No space left on device"), 1  # type: ignore[misc]
    assert found is not None
    with pytest.raises(StorageError, match="No space left on device; free some space and run it again"):
        Store(f"{BASE}/a").fetch(found, tmp_path / "a")


def test_nothing_is_tried_any_more_once_it_is_over(flaky: type[Flaky]) -> None:
    flaky.n_failures, over = 100, threading.Event()
    over.set()
    with pytest.raises(StoppedError):
        Store(f"{BASE}/a", Patience(over=over)).look()
    assert flaky.n_calls == 0


def test_an_object_that_changes_while_it_is_fetched_is_refused(flaky: type[Flaky], tmp_path: Path) -> None:
    put(a=b"one")
    found = Store(f"{BASE}/a").look()
    put(a=b"two")
    assert found is not None
    with pytest.raises(RemoteError, match=f"^{BASE}/a: changed while it was fetched; run again when"):
        Store(f"{BASE}/a").fetch(found, tmp_path / "a")


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


def test_a_folder_is_brought_up_to_date_and_no_further(
    flaky: type[Flaky], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(**{"f/a.csv": b"1", "f/b.csv": b"2", "f/.hidden": b"3"})
    fetched: list[str] = []
    fetch = Store.fetch

    def counted(self: Store, remote: Remote, path: Path) -> None:
        fetched.append(remote.url)
        fetch(self, remote, path)

    monkeypatch.setattr(Store, "fetch", counted)

    def content() -> dict[str, bytes]:
        stage = Stage(tmp_path)
        folder = stage_folder(stage, f"{BASE}/f", lambda name: name.endswith(".csv"))
        stage.close()
        return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}

    assert content() == {"a.csv": b"1", "b.csv": b"2"} and len(fetched) == 2
    assert content() == {"a.csv": b"1", "b.csv": b"2"} and len(fetched) == 2
    put(**{"f/a.csv": b"9"})
    Flaky().rm_file("/box/f/b.csv")
    assert content() == {"a.csv": b"9"} and fetched[2:] == [f"{BASE}/f/a.csv"]


def test_a_folder_with_a_name_that_leads_out_is_refused(flaky: type[Flaky], tmp_path: Path) -> None:
    put(**{"f/a\\..\\b.csv": b"1"})
    with pytest.raises(RemoteError, match="would lead out of the folder; rename it"):
        stage_folder(Stage(tmp_path), f"{BASE}/f")
    with pytest.raises(RemoteError, match=f"^{BASE}/g: nothing there that can be used; check the address"):
        stage_folder(Stage(tmp_path), f"{BASE}/g")


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


def test_paths_of_local_files_load_no_store() -> None:
    program = "import sys, tal.pipeline.extraction, tal.pipeline.localizing, cli.app\n"
    program += "print(sorted({'fsspec', 's3fs', 'aiohttp', 'botocore'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_each_parameter_that_may_be_a_url_is_one() -> None:
    import inspect

    from cli.app import PANELS
    from cli.urls import KEEP, KINDS

    commands = {command.__name__: command for panel in PANELS.values() for command in panel}
    for name, kinds in KINDS.items():
        assert set(kinds) <= set(inspect.signature(commands[name]).parameters), name
        assert set(kinds.values()) <= {KEEP, "in", "shards", "run", "videos", "out", "outdir"}


def test_where_a_url_is_not_possible_it_is_told(tmp_path: Path) -> None:
    from small import tal

    done = tal("demo", "-o", "s3://bucket/demo", cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert done.stderr == "tal: s3://bucket/demo: 'out' of 'tal demo' cannot be a URL; name a local path\n"


def test_what_a_command_keeps_is_never_waited_for(flaky: type[Flaky], tmp_path: Path) -> None:
    put(a=b"a" * 600, b=b"b" * 600)
    stage = Stage(tmp_path, limit_gb=1000e-9)
    stage.keep(staged(stage, "a"))
    with pytest.raises(RemoteError, match=r"^smb://box/b: 6e-07 GB beside 6e-07 GB in use, but local copies may take"):
        stage.keep(staged(stage, "b"))
    stage.close()
    stage.keep(staged(stage, "b"))
    stage.close()
