"""The engine that picks ours by device, and does not trust a device blindly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from extract import flow
from extract.flow import _gpu
from extract.flow.native import Backend, trial
from tal.errors import BackendError, ConfigError

needs_numba = pytest.mark.skipif(Backend.why_not() is not None, reason="needs Numba")


@needs_numba
def test_auto_is_ours() -> None:
    assert flow.choose("auto") == "native"


@needs_numba
def test_the_trial_moves_as_it_says() -> None:
    with flow.load("native", 1, "cpu", "exact") as engine:
        assert np.abs(engine.pairs(trial())[0].mean(axis=(0, 1)) - [1.5, -0.75]).max() < 0.05


class OnCpu(_gpu.TorchSolver):
    """The device engine, on the CPU whatever was asked for."""

    def __init__(self, parameters: Any, device: str) -> None:
        super().__init__(parameters, "cpu")


class Wrong(OnCpu):
    def solve(self, gray: Any) -> Any:
        return super().solve(gray) + np.float32(0.1)


@needs_numba
def test_a_device_that_agrees_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gpu, "TorchSolver", OnCpu)
    with Backend(1, "cuda", "fast") as engine:
        engine.pairs(trial())
        assert isinstance(engine._engine(), OnCpu)
        assert engine.notes == []


@needs_numba
def test_a_device_that_is_wrong_is_not_used_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gpu, "TorchSolver", Wrong)
    with Backend(1, "cuda", "fast") as engine, Backend(1, "cpu", "fast") as cpu:
        assert np.array_equal(engine.pairs(trial()), cpu.pairs(trial()))
        assert engine.notes == ["flow on cuda is 0.1 px off in a trial; computed on the CPU instead"]


@needs_numba
def test_a_device_that_is_not_there_is_one_line() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with Backend(1, "cuda") as engine, pytest.raises(BackendError, match=r"^device 'cuda' is not on this machine"):
        engine.pairs(trial())


def test_an_unknown_quality_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"^unknown flow quality 'fats'; did you mean 'fast'\?$"):
        flow.load("opencv", quality="fats")


def test_opencv_with_all_iterations_is_opencv_without_early_stopping() -> None:
    import cv2

    solver: Any = cv2.optflow.DualTVL1OpticalFlow_create()  # type: ignore[attr-defined]
    solver.setEpsilon(0)
    with flow.load("opencv", 1, "cpu", "exact") as engine:
        assert np.array_equal(engine.pairs(trial())[0], solver.calc(*trial(), None))
