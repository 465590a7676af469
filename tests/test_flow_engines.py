"""The registry of flow engines, and what stands between it and OpenCV."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from extract import flow
from extract.flow.opencv import single_threaded
from tal.errors import BackendError, ConfigError
from tal.types import ByteArray


class TestRegistry:
    def test_importing_it_loads_no_opencv(self) -> None:
        code = "import sys; from extract import flow; flow._backends(); print('cv2' in sys.modules)"
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert shown.stdout == "False\n"

    def test_engines_are_the_modules_with_a_backend(self) -> None:
        assert {"opencv", "opencv-cuda"} <= set(flow.available())
        assert not {"presets", "-base", "_base"} & set(flow.available())

    def test_a_name_is_the_same_everywhere(self) -> None:
        for name, backend in flow._backends().items():
            assert backend.name == name
            assert backend.__module__ == f"extract.flow.{name.replace('-', '_')}"

    def test_unknown_name(self) -> None:
        with pytest.raises(ConfigError, match=r"^unknown flow backend 'opencvv'; did you mean 'opencv'\?$"):
            flow.load("opencvv")

    def test_negative_workers_are_refused(self) -> None:
        with pytest.raises(ValueError, match="workers is -1"):
            flow.load("native", workers=-1)

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """An empty folder of engines in place of the shipped one."""
        monkeypatch.setattr(flow, "__path__", [str(tmp_path)])
        flow._backends.cache_clear()
        yield tmp_path
        flow._backends.cache_clear()
        for path in tmp_path.glob("*.py"):
            sys.modules.pop(f"extract.flow.{path.stem}", None)

    @staticmethod
    def write(folder: Path, name: str, priority: int, reason: str | None) -> None:
        (folder / f"{name}.py").write_text(
            "from extract.flow._base import FlowBackend\n"
            "class Backend(FlowBackend):\n"
            f"    name, priority = {name.replace('_', '-')!r}, {priority}\n"
            "    @classmethod\n"
            f"    def why_not(cls): return {reason!r}\n"
            "    def _solve(self, gray): return gray\n"
        )

    def test_a_new_engine_is_one_file(self, folder: Path) -> None:
        self.write(folder, "test_engine", 1, None)
        assert flow.available() == {"test-engine": None}
        assert flow.load("test-engine", 3).workers == 3

    def test_auto_is_the_best_that_works(self, folder: Path) -> None:
        self.write(folder, "test_low", 1, None)
        self.write(folder, "test_mid", 2, None)
        self.write(folder, "test_top", 3, "no GPU; buy one")
        assert list(flow.available()) == ["test-top", "test-mid", "test-low"]
        assert flow.choose("auto") == "test-mid"
        assert flow.choose("test-low") == "test-low"

    def test_an_engine_that_does_not_work(self, folder: Path) -> None:
        self.write(folder, "test_top", 3, "no GPU; buy one")
        text = "^flow backend 'test-top' cannot be used here: no GPU; buy one, or choose 'auto'$"
        with pytest.raises(BackendError, match=text):
            flow.load("test-top")
        with pytest.raises(BackendError, match=r"^no flow backend can be used here: test-top: no GPU; buy one$"):
            flow.choose("auto")


class TestOpenCV:
    def test_its_thread_setting_is_put_back(self) -> None:
        before = cv2.getNumThreads()
        try:
            cv2.setNumThreads(2)
            with single_threaded():
                with single_threaded():
                    assert cv2.getNumThreads() == 1
                assert cv2.getNumThreads() == 1
            assert cv2.getNumThreads() == 2
            with pytest.raises(RuntimeError), single_threaded():
                raise RuntimeError
            assert cv2.getNumThreads() == 2
        finally:
            cv2.setNumThreads(before)

    def test_without_optflow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace())
        assert flow.available()["opencv"] == (
            "this OpenCV has no optflow module; install opencv-contrib-python-headless as the only OpenCV package"
        )

    def test_without_opencv(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cv2", None)
        for name in ("opencv", "opencv-cuda"):
            assert str(flow.available()[name]).startswith("OpenCV cannot be imported; ")


class StandInGpu:
    """The parts of an OpenCV with CUDA that the engine uses; its flow is (level of first, level of second)."""

    error = cv2.error

    class cuda_GpuMat:
        def upload(self, frame: ByteArray) -> None:
            self.frame = frame

    def __init__(self, n_devices: int, fails: bool = False) -> None:
        solver = SimpleNamespace(calc=self._refuse if fails else self._calc)
        self.cuda = SimpleNamespace(
            getCudaEnabledDeviceCount=lambda: n_devices,
            OpticalFlowDual_TVL1=SimpleNamespace(create=lambda: solver),
        )

    @staticmethod
    def _calc(first: Any, second: Any, _: None) -> Any:
        levels = np.stack([first.frame, second.frame], axis=-1).astype(np.float32)
        return SimpleNamespace(download=lambda: levels)

    @staticmethod
    def _refuse(first: Any, second: Any, _: None) -> Any:
        raise cv2.error("out of\nmemory")


class TestOpenCVCuda:
    def test_no_device(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cv2", StandInGpu(0))
        assert flow.available()["opencv-cuda"] == "OpenCV finds no CUDA device; check it with nvidia-smi"

    def test_frames_reach_the_solver_in_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cv2", StandInGpu(1))
        frames = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 6, 7), np.uint8)
        result = flow.load("opencv-cuda").pairs(frames)
        assert result.shape == (4, 6, 7, 2)
        assert result[:, 0, 0].tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]

    def test_a_failure_is_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cv2", StandInGpu(1, fails=True))
        text = "^opencv-cuda failed: out of memory; choose flow backend 'opencv'$"
        with pytest.raises(BackendError, match=text):
            flow.load("opencv-cuda").pairs(np.zeros((2, 8, 8), np.uint8))
