"""URLs and stores that fail."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores import BASE, Flaky, put

from tal.errors import RemoteError, StorageError
from tal.storage import (
    Patience,
    Remote,
    Stage,
    StoppedError,
    Store,
    name_in,
    path_of,
    shown,
    stage_folder,
    url_of,
)
from tal.storage.urls import is_inside, safe_name


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
