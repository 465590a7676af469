from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from extract import flow
from extract.flow import presets
from extract.flow.opencv import single_threaded
from tal.errors import BackendError, ConfigError
from tal.types import ByteArray, FloatArray

USABLE = [name for name, reason in flow.available().items() if reason is None]
MOVES = [(2.0, 0.0), (-2.0, 0.0), (0.0, 2.0), (0.0, -2.0), (1.25, -0.5)]


def texture(n_frames: int, u: float, v: float, size: tuple[int, int] = (56, 72)) -> ByteArray:
    """A sum of waves, which can be moved by (u, v) px per frame exactly."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    waves = rng.uniform(-0.6, 0.6, (24, 2))
    phases = rng.uniform(0, 2 * np.pi, 24)
    frames = []
    for i in range(n_frames):
        value = sum(np.cos(kx * (x - i * u) + ky * (y - i * v) + p) for (kx, ky), p in zip(waves, phases, strict=True))
        frames.append(np.clip(128 + 16 * value, 0, 255))
    return np.round(frames).astype(np.uint8)


def read_flo(path: Path) -> FloatArray:
    """Middlebury's format: a float tag, width, height, then (u, v) per pixel, little-endian."""
    data = path.read_bytes()
    assert data[:4] == b"PIEH"
    width, height = np.frombuffer(data, "<i4", 2, 4)
    return np.frombuffer(data, "<f4", width * height * 2, 12).reshape(height, width, 2)


def read_gray(path: Path) -> ByteArray:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)


@pytest.fixture(scope="module", params=USABLE)
def engine(request: pytest.FixtureRequest) -> Any:
    with flow.load(request.param, workers=2) as backend:
        yield backend


class TestEveryEngine:
    def test_shape_and_type(self, engine: flow.FlowBackend) -> None:
        result = engine.pairs(texture(4, 1, 0))
        assert result.shape == (3, 56, 72, 2)
        assert result.dtype == np.float32

    @pytest.mark.parametrize("move", MOVES)
    def test_a_moved_texture_gives_its_motion_right_and_down(
        self, engine: flow.FlowBackend, move: tuple[float, float]
    ) -> None:
        result = engine.pairs(texture(3, *move))
        error = np.hypot(result[..., 0] - move[0], result[..., 1] - move[1])
        assert error.mean() < 0.1
        assert flow.motion_px(result) == pytest.approx(np.hypot(*move), abs=0.1)

    def test_pairs_are_in_order(self, engine: flow.FlowBackend) -> None:
        still, moved = texture(2, 2, 0)
        result = engine.pairs(np.stack([still, still, moved, moved]))
        assert np.allclose(result[..., 0].mean(axis=(1, 2)), [0, 2, 0], atol=0.1)

    @pytest.mark.parametrize("level", [0, 128, 255])
    def test_constant_frames_do_not_move(self, engine: flow.FlowBackend, level: int) -> None:
        assert not engine.pairs(np.full((3, 40, 48), level, np.uint8)).any()

    def test_a_tiny_frame_works(self, engine: flow.FlowBackend) -> None:
        result = engine.pairs(texture(2, 1, 0, (16, 16)))
        assert np.abs(result.mean(axis=(0, 1, 2)) - [1, 0]).max() < 0.3

    def test_a_small_frame_leaves_no_trace_in_the_next(self, engine: flow.FlowBackend) -> None:
        frames = texture(2, 4, 0)
        with flow.load(engine.name, workers=2) as fresh:
            expected = fresh.pairs(frames)
        engine.pairs(texture(3, 1, 0, (16, 16)))
        assert np.array_equal(engine.pairs(frames), expected)

    def test_workers_do_not_change_a_bit(self, engine: flow.FlowBackend) -> None:
        frames = texture(6, 1.5, 0.75)
        with flow.load(engine.name, workers=1) as alone:
            assert np.array_equal(alone.pairs(frames), engine.pairs(frames))

    def test_blocks_do_not_change_a_bit(self, engine: flow.FlowBackend) -> None:
        frames = texture(5, 1.5, 0.75)
        parts = [engine.pairs(frames[:3]), engine.pairs(frames[2:])]
        assert np.array_equal(np.concatenate(parts), engine.pairs(frames))

    def test_frames_need_not_be_contiguous(self, engine: flow.FlowBackend) -> None:
        frames = texture(2, 1, 0)
        wide = np.repeat(frames, 2, axis=2)
        assert np.array_equal(engine.pairs(wide[:, :, ::2]), engine.pairs(frames))

    def test_one_frame_has_no_pair(self, engine: flow.FlowBackend) -> None:
        result = engine.pairs(np.zeros((1, 20, 24), np.uint8))
        assert result.shape == (0, 20, 24, 2)
        assert result.dtype == np.float32

    @pytest.mark.parametrize(
        "frames",
        [np.zeros((2, 8, 8), np.float32), np.zeros((8, 8), np.uint8), np.zeros((0, 8, 8), np.uint8)],
        ids=["float", "two axes", "no frame"],
    )
    def test_what_is_no_gray_video_is_refused(self, engine: flow.FlowBackend, frames: Any) -> None:
        with pytest.raises(ValueError, match=r"gray frames must be uint8 \(F, H, W\), not "):
            engine.pairs(frames)

    def test_name(self, engine: flow.FlowBackend) -> None:
        assert flow.choose(engine.name) == engine.name


@pytest.mark.parametrize("name", USABLE)
class TestMiddlebury:
    def test_error_on_rubber_whale(self, shared: Path, name: str, record_property: Any) -> None:
        data = shared / "data/flow"
        folder = data / "middlebury/RubberWhale"
        frames = np.stack([read_gray(folder / f"frame{i}.png") for i in (10, 11)])
        with flow.load(name, workers=2) as backend:
            result = backend.pairs(frames)[0]
        truth = read_flo(folder / "flow10.flo")
        known = np.abs(truth).max(axis=-1) < 1e9
        assert np.hypot(*(result - truth)[known].T).mean() <= 0.17
        distance = np.hypot(*(result - read_flo(data / "opencv/tvl1_flow.flo")).reshape(-1, 2).T)
        record_property("mean_distance_to_stored_px", float(distance.mean()))
        assert distance.mean() < 0.05  # OpenCV 5 interpolates better than the version that wrote the file
        assert np.median(distance) < 0.02


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
            flow.load(USABLE[0], workers=-1)

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """An empty folder of engines in place of the shipped one."""
        monkeypatch.setattr(flow, "__path__", [str(tmp_path)])
        before = set(sys.modules)
        flow._backends.cache_clear()
        yield tmp_path
        flow._backends.cache_clear()
        for name in set(sys.modules) - before:
            del sys.modules[name]

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


class TestGrayAndMotion:
    def test_luma_weights(self) -> None:
        pure = np.eye(3, dtype=np.uint8)[None, None] * 255  # red, green, blue
        assert flow.to_gray(pure).tolist() == [[[76, 150, 29]]]

    @given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))))
    def test_gray_stays_gray(self, gray: ByteArray) -> None:
        assert np.array_equal(flow.to_gray(np.repeat(gray[..., None], 3, axis=3)), gray)

    def test_frames_are_kept_apart(self) -> None:
        rgb = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
        exact = rgb @ np.array([0.299, 0.587, 0.114])
        assert np.abs(flow.to_gray(rgb) - exact).max() < 0.51
        assert np.array_equal(flow.to_gray(rgb[:, ::2, ::-1]), flow.to_gray(rgb)[:, ::2, ::-1])

    def test_no_frames(self) -> None:
        assert flow.to_gray(np.zeros((0, 4, 5, 3), np.uint8)).shape == (0, 4, 5)

    def test_motion_of_a_3_4_5_triangle(self) -> None:
        moving = np.zeros((2, 2, 2, 2), np.float32)
        moving[1, 0, 0] = (3, -4)
        assert flow.motion_px(moving).tolist() == [0, 1.25]  # one of four pixels moves 5 px
        assert flow.motion_px(moving).dtype == np.float32


class TestPresets:
    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("i3d", [-1, -1, -0.5, 0, 0.5, 1, 1]),
            ("denseflow", [-1, -1, 64 / 127.5 - 1, 128 / 127.5 - 1, 191 / 127.5 - 1, 1, 1]),
            ("mmaction", [-1, -1, 63 / 127.5 - 1, 127 / 127.5 - 1, 191 / 127.5 - 1, 1, 1]),
        ],
    )
    def test_closed_forms(self, name: str, values: list[float]) -> None:
        flow_px = np.array([-900, -20, -10, 0, 10, 20, 900], np.float32)
        result = presets.apply(flow_px, presets.preset(name))
        assert result.dtype == np.float32
        assert result == pytest.approx(values, abs=1e-6)

    @pytest.mark.parametrize(("name", "zero_px"), [("i3d", 0), ("denseflow", 0.0784), ("mmaction", -0.0784)])
    def test_what_no_motion_reads_as(self, name: str, zero_px: float) -> None:
        assert 20 * presets.apply(np.zeros(1, np.float32), presets.preset(name))[0] == pytest.approx(zero_px, abs=1e-4)

    @pytest.mark.parametrize(("name", "mean_px"), [("denseflow", 0.0392), ("mmaction", 0.0784)])
    def test_mean_error_is_a_quarter_or_half_of_a_step(self, name: str, mean_px: float) -> None:
        flow_px = np.linspace(-20, 20, 100_001, dtype=np.float32)
        error = np.abs(20 * presets.apply(flow_px, presets.preset(name)) - flow_px)
        assert error.mean() == pytest.approx(mean_px, rel=0.01)

    @given(
        name=st.sampled_from(sorted(presets.PRESETS)),
        flow_px=hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32)),
    )
    def test_bounded_and_monotone(self, name: str, flow_px: FloatArray) -> None:
        before = flow_px.copy()
        result = presets.apply(flow_px, presets.preset(name))
        assert np.array_equal(flow_px, before)
        assert result.min() >= -1
        assert result.max() <= 1
        assert (np.diff(result[np.argsort(flow_px)]) >= 0).all()

    @given(st.sampled_from(["denseflow", "mmaction"]), st.integers(0, 255))
    def test_grey_levels_survive(self, name: str, level: int) -> None:
        flow_px = np.array([40 * level / 255 - 20 + 1e-4], np.float32)
        assert presets.apply(flow_px, presets.preset(name))[0] == pytest.approx(level / 127.5 - 1, abs=1e-6)

    def test_another_bound(self) -> None:
        wide = presets.FlowPreset("wide", bound_px=32.0, quantise="none")
        assert presets.apply(np.array([16, -64], np.float32), wide).tolist() == [0.5, -1]

    def test_unknown_name(self) -> None:
        with pytest.raises(ConfigError, match=r"^unknown flow preset 'densflow'; did you mean 'denseflow'\?$"):
            presets.preset("densflow")

    def test_a_bound_is_positive(self) -> None:
        with pytest.raises(ValueError, match="bound_px is 0, not positive"):
            presets.FlowPreset("none", bound_px=0)
