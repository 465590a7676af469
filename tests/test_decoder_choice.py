"""The folder of decoders as their registry, and what ``auto`` takes."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from extract import decoders
from tal.errors import BackendError, ConfigError

USUAL = decoders.choose("auto")
"""What ``auto`` takes here: pyav, or a decoder in hardware."""


class Planter:
    """Adds decoders of one file each."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch
        monkeypatch.setattr(decoders, "__path__", [*decoders.__path__, str(folder)])

    def __call__(self, name: str, *lines: str, reason: str | None = None, body: str = "pass") -> None:
        source = [f"def missing():\n    return {reason!r}\n\n\nclass Backend:\n    name = {name!r}\n"]
        source += [f"    def __init__(self):\n        {body}\n", *lines]
        (self._folder / f"{name}.py").write_text("\n".join(source))
        importlib.invalidate_caches()  # two changes of a folder within one tick of the clock look like one
        module = f"extract.decoders.{name}"
        self._monkeypatch.setitem(sys.modules, module, None)  # undone at the end, whatever is loaded
        self._monkeypatch.delitem(sys.modules, module)


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planter:
    return Planter(tmp_path, monkeypatch)


def test_the_folder_is_the_registry(plant: Planter) -> None:
    assert {"pyav", "decord", "opencv"} <= set(decoders.available())
    plant("planted")
    assert decoders.available()["planted"] is None
    assert decoders.load("planted").name == "planted"


def test_auto_takes_the_highest_rank_that_can_be_used(plant: Planter) -> None:
    plant("a", "PRIORITY = 1000")
    plant("b", "PRIORITY = 2000")
    plant("c", "PRIORITY = 3000", reason="the Python package 'c' is not installed")
    assert decoders.choose("auto") == decoders.load("auto").name == "b"


@pytest.mark.parametrize("lines", [[], ["PRIORITY = 0"]])
def test_auto_never_takes_a_decoder_without_a_rank(plant: Planter, lines: list[str]) -> None:
    plant("a", *lines)
    assert decoders.choose("auto") == USUAL


@pytest.mark.parametrize("name", ["decord", "opencv"])
def test_decoders_for_comparison_have_no_rank(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "_names", lambda: [name])
    with pytest.raises(BackendError, match=r"^no decoder can be used here"):
        decoders.choose("auto")


def test_auto_never_takes_a_decoder_for_what_it_misreads(plant: Planter) -> None:
    plant("quick", "PRIORITY = 1000", "MISREADS = {'mpegts': 'loses the first pictures'}")
    assert decoders.choose("auto") == decoders.choose("auto", "avi") == "quick"
    assert decoders.choose("auto", "mpegts") == decoders.load("auto", "mpegts").name == USUAL
    assert decoders.choose("quick", "mpegts") == "quick"  # which then refuses the file


def test_what_auto_says_where_nothing_is_left(plant: Planter, monkeypatch: pytest.MonkeyPatch) -> None:
    plant("a", "PRIORITY = 1", reason="the Python package 'a' is not installed")
    plant("b", "PRIORITY = 2", "MISREADS = {'avi': 'drops frames'}")
    monkeypatch.setattr(decoders, "_names", lambda: ["a", "b"])
    with pytest.raises(BackendError) as caught:
        decoders.choose("auto", "avi")
    assert (
        str(caught.value) == "no decoder can be used here: b: drops frames; a: the Python package 'a' is not installed"
    )


def test_unknown_decoder() -> None:
    with pytest.raises(ConfigError, match=r"^unknown decoder 'decrod'; did you mean 'decord'\?$"):
        decoders.load("decrod")


@pytest.mark.parametrize(("name", "package"), [("decord", "decord"), ("opencv", "cv2"), ("pyav", "av")])
def test_decoder_that_is_not_installed(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.decoders._base.find_spec", lambda name: None)
    reason = f"the Python package '{package}' is not installed"
    assert decoders.available()[name] == reason
    with pytest.raises(BackendError, match=f"^decoder '{name}' cannot be used here: {reason}$"):
        decoders.load(name)


def test_decoder_that_does_not_load(plant: Planter) -> None:
    plant("planted", body="raise OSError('libx.so: not found')")
    with pytest.raises(BackendError, match=r"^decoder 'planted' is installed but does not load: libx\.so: not found$"):
        decoders.load("planted")


@pytest.mark.skipif(decoders.available()["opencv"] is not None, reason="needs OpenCV")
def test_opencv_must_know_colour_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cv2.__version__", "4.12.0")
    with pytest.raises(BackendError) as caught:
        decoders.load("opencv")
    assert str(caught.value) == (
        "decoder 'opencv' is installed but does not load: "
        "OpenCV 4.12.0 takes every colour matrix for BT.601; install 4.13 or newer"
    )


@pytest.mark.skipif(decoders.available()["opencv"] is not None, reason="needs OpenCV")
def test_opencv_must_have_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cv2.videoio_registry.hasBackend", lambda backend: False)
    with pytest.raises(BackendError, match="this OpenCV was built without FFmpeg; install opencv-contrib-python-head"):
        decoders.load("opencv")


def test_asking_what_is_available_loads_no_library() -> None:
    """Where there is an NVIDIA driver, its decoder is tried, which takes PyAV."""
    code = (
        "import sys, extract.video, extract.decoders as d; from extract.decoders.nvdec import DRIVER; d.available(); "
        "heavy = {'cv2', 'decord', 'torch'} if DRIVER.exists() else {'av', 'cv2', 'decord', 'torch'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
