"""Conventions for turning flow in px into the input of I3D's flow network, in [-1, 1].

I3D was trained on TV-L1 flow cut off at 20 px (DeepMind, kinetics-i3d). Most public features went through 8-bit images
on the way, which costs up to 0.08 px per value and moves zero: with ``denseflow`` no motion reads as +0.078 px, with
``mmaction`` as -0.078 px. A network or features made with a convention should meet the same one again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tal.errors import ConfigError, suggest
from tal.types import FloatArray


@dataclass(frozen=True, slots=True)
class FlowPreset:
    """How flow becomes network input.

    Attributes:
        name: What settings call it.
        bound_px: Displacements beyond are cut off, px; this one becomes 1.
        quantise: ``round`` or ``floor`` to the 256 grey values of an image, or ``none``.
    """

    name: str
    bound_px: float = 20.0
    quantise: Literal["none", "round", "floor"] = "none"

    def __post_init__(self) -> None:
        if self.bound_px <= 0:
            raise ValueError(f"bound_px is {self.bound_px}, not positive")


PRESETS = {
    one.name: one
    for one in (
        FlowPreset("i3d"),  # DeepMind's README: truncate, scale
        FlowPreset("denseflow", quantise="round"),  # denseflow, dense_flow: cvRound, half to even
        FlowPreset("mmaction", quantise="floor"),  # mmaction's Python tools: cast to uint8
    )
}


def preset(name: str) -> FlowPreset:
    """Return a convention by name.

    Raises:
        ConfigError: If there is no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown flow preset '{name}'{suggest(name, PRESETS)}")
    return PRESETS[name]


def apply(flow: FloatArray, preset: FlowPreset) -> FloatArray:
    """Turn flow into network input.

    Args:
        flow: Displacements of any shape, px.
        preset: The convention.

    Returns:
        float32 in [-1, 1], same shape.
    """
    bound = preset.bound_px
    if preset.quantise == "none":
        return (np.clip(flow, -bound, bound) / bound).astype(np.float32)
    level = 255 * (np.clip(flow, -bound, bound).astype(np.float64) + bound) / (2 * bound)
    level = np.rint(level) if preset.quantise == "round" else np.floor(level)
    return (level * (2 / 255) - 1).astype(np.float32)
