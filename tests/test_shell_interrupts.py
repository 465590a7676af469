"""Ctrl-C and SIGTERM in real processes: they end, say how to go on, and keep what is finished."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import halted
import pytest
from patience import NAPS, WAIT_S, until
from planted import training_videos

from cli import signals
from extract.fetch import KnownFile, fetch
from tal.progress import Silent

INTERRUPTED = "interrupted; what is finished is kept, the same command goes on from there"
TERMINATED = "terminated; what is finished is kept, the same command goes on from there"
ENDINGS = [(signal.SIGINT, 130, INTERRUPTED), (signal.SIGTERM, 143, TERMINATED)]

# A suite that runs in the background of a script was told to ignore Ctrl-C, and so are its children.
HEEDING = "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
WITHIN = "from cli.signals import heeded\nwith heeded():\n    print('ready', flush=True)\n"
TAL = HEEDING + "from cli.app import main; main()"


def start(code: str, *words: object, cwd: Path) -> subprocess.Popen[str]:
    here = {**os.environ, "TAL_CACHE": str(cwd / "cache"), "no_proxy": "*"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=cwd,
        env=here,
        text=True,
        **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE),
    )


def ended(process: subprocess.Popen[str], how: signal.Signals) -> tuple[int, list[str]]:
    """Send a signal; return the exit status and the lines on stderr."""
    process.send_signal(how)
    _, said = process.communicate(timeout=WAIT_S)
    assert "Traceback" not in said
    return process.returncode, [line for line in said.splitlines() if line]


def ready(code: str, cwd: Path) -> subprocess.Popen[str]:
    process = start(code, cwd=cwd)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("how", "status", "line"), ENDINGS)
def test_the_main_thread_ends_by_itself(tmp_path: Path, how: signal.Signals, status: int, line: str) -> None:
    patient = f"import cli.signals; cli.signals.GRACE_S = {WAIT_S}\n"  # on a busy machine the main thread may be late
    within = f"with cli.signals.heeded():\n    try:\n        print('ready', flush=True)\n        {NAPS}\n"
    cleaned = "    finally:\n        open('cleaned', 'w').close()\n"
    assert ended(ready(HEEDING + patient + within + cleaned, tmp_path), how) == (status, [line])
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize(("how", "status", "line"), ENDINGS)
def test_a_computation_that_python_cannot_interrupt_is_ended(
    tmp_path: Path, how: signal.Signals, status: int, line: str
) -> None:
    code = HEEDING + "import hashlib\n" + WITHIN + "    hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"  # 10 minutes
    assert ended(ready(code, tmp_path), how) == (status, [line])


@pytest.mark.parametrize(("how", "status", "line"), ENDINGS)
def test_a_signal_in_a_finalizer_ends_the_process_without_a_traceback(
    tmp_path: Path, how: signal.Signals, status: int, line: str
) -> None:
    """Nothing can be raised there."""
    finalizer = f"class Kept:\n    def __del__(self):\n        print('ready', flush=True)\n        {NAPS}\n"
    code = "from cli.signals import heeded\nwith heeded():\n    kept = Kept()\n    del kept\n"
    more = f"    {NAPS}\n"
    assert ended(ready(HEEDING + finalizer + code + more, tmp_path), how) == (status, [line])


def test_other_errors_in_finalizers_are_told(tmp_path: Path) -> None:
    code = "from cli.signals import heeded\nclass Kept:\n    def __del__(self):\n        print(1 / 0)\n"
    process = start(code + "with heeded():\n    kept = Kept()\n    del kept\n", cwd=tmp_path)
    assert "ZeroDivisionError" in process.communicate(timeout=WAIT_S)[1]


def test_threads_that_go_on_do_not_keep_the_process(tmp_path: Path) -> None:
    more = "    import threading; threading.Thread(target=time.sleep, args=(600,)).start()\n    time.sleep(600)\n"
    assert ended(ready(HEEDING + WITHIN + more, tmp_path), signal.SIGINT) == (130, [INTERRUPTED])


def test_who_was_started_to_ignore_ctrl_c_ignores_it(tmp_path: Path) -> None:
    process = ready("import signal; signal.signal(2, signal.SIG_IGN)\n" + WITHIN + "    print(input())", tmp_path)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate("went on\n", timeout=WAIT_S)
    assert (process.returncode, said) == (0, "went on\n")


def test_a_signal_to_a_forked_child_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    code = (
        "    import os\n    there, here = os.pipe()\n"
        "    if (child := os.fork()) == 0:\n        os.write(here, b'.')\n        time.sleep(600)\n"
        "    os.read(there, 1)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        f"    time.sleep({2 * signals.GRACE_S})\n"
        "print('child', status)\n"
    )
    said, _ = start(HEEDING + WITHIN + code, cwd=tmp_path).communicate(timeout=WAIT_S)
    assert said.splitlines()[-1] == "child -15"


def test_what_was_there_before_is_there_again() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals.heeded():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_of_the_main_thread_nothing_is_changed() -> None:
    found = []

    def work() -> None:
        with signals.heeded():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]


def test_what_was_forced_goes_on_without_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tal", "extract", "videos", "--force"])
    assert signals.how_to_go_on(130).endswith("kept, the same command without --force goes on from there")


CONTENT = bytes(range(256)) * 100
HALF = len(CONTENT) // 2


class Halting(BaseHTTPRequestHandler):
    """Sends half of the file, then nothing for a long time; sends the rest to who asks for it."""

    def do_GET(self) -> None:
        rest = self.headers["Range"] == f"bytes={HALF}-"
        self.send_response(206 if rest else 200)
        if rest:
            self.send_header("Content-Range", f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(HALF if rest else len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[HALF:] if rest else CONTENT[:HALF])
        self.wfile.flush()
        if not rest:
            self.server.over.wait(WAIT_S)  # type: ignore[attr-defined]

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def halting() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Halting)
    server.over = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/weights"
    finally:
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_an_interrupted_download_is_announced_kept_and_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with halting() as address:
        known = KnownFile("rgb.pt", "rgb", address, sha256=hashlib.sha256(CONTENT).hexdigest(), n_bytes=len(CONTENT))
        code = (
            "from pathlib import Path\nimport cli.progress\ncli.progress.PLAIN_EVERY_S = 1e9\n"
            "from cli.progress import display\nfrom extract.fetch import KnownFile, fetch\n"
            f"with heeded(), display(False) as progress:\n    fetch({known!r}, Path('weights'), progress)\n"
        )
        process = start(HEEDING + "from cli.signals import heeded\n" + code, cwd=tmp_path)
        part = tmp_path / "weights" / ".rgb.pt.part"
        until(lambda: part.is_file() and part.stat().st_size == HALF)
        assert ended(process, signal.SIGINT) == (130, ["fetching rgb.pt, 25.6 kB, once, to weights", INTERRUPTED])
        assert part.read_bytes() == CONTENT[:HALF]
        told = Said()
        assert fetch(known, tmp_path / "weights", told).read_bytes() == CONTENT
    assert told.lines == [f"fetching rgb.pt, 25.6 kB, once, to {tmp_path / 'weights'}; 12.8 kB are here already"]


def test_a_size_that_only_the_server_knows_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    told = Said()
    with halting() as address:
        known = KnownFile("flow.pt", "flow", address, sha256=hashlib.sha256(CONTENT).hexdigest())
        (tmp_path / ".flow.pt.part").write_bytes(CONTENT[:HALF])
        fetch(known, tmp_path, told)
    assert told.lines == [f"fetching flow.pt, 25.6 kB, once, to {tmp_path}; 12.8 kB are here already"]


def test_a_training_that_is_told_to_end_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    videos = training_videos(tmp_path / "features")
    rows = [f"{video.name},{label}" for video in videos for label in video.labels]
    (tmp_path / "labels.csv").write_text("\n".join(["video,label", *rows]) + "\n")
    sets = ("train.steps=100000", "train.n_snippets=20", "method.hidden=8", "runtime.checkpoint_every=10")
    words = ["train", "-l", "labels.csv", *(part for text in sets for part in ("--set", text)), "--device", "cpu"]
    process = start(halted.before("tal.checkpoints", 100) + TAL, *words, cwd=tmp_path)
    until(lambda: list(tmp_path.glob("cache/train/??/*.work/checkpoint.pt")), lambda: process.poll() is None)
    status, lines = ended(process, signal.SIGTERM)
    assert (status, lines[-1]) == (143, TERMINATED)
    (kept,) = tmp_path.glob("cache/train/??/*.work/checkpoint.pt")
    assert kept.stat().st_size > 0 and not (tmp_path / "runs").exists()
