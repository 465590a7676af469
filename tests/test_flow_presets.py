"""Gray frames, motion, and what turns px into the network's input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from extract import flow
from extract.flow import presets
from tal.errors import ConfigError
from tal.types import ByteArray, FloatArray


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
