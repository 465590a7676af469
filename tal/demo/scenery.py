"""Paints the demo's scenes: a room, a park or a street, cluttered, textured and the same for every class.

Sizes are shares of the canvas height unless they end with ``_px``; every scene's ground begins at `HORIZON`.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from math import pi

import numpy as np
from numpy.random import Generator

from tal.types import ByteArray

Colour = tuple[int, int, int]
HORIZON = 0.74


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return an RGB colour; hue wraps around 1."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(255 * r), round(255 * g), round(255 * b)


class Canvas:
    """An RGB picture with drawing in shares of its height.

    Attributes:
        pixels: uint8 (H, W, 3).
        width: Width as a share of the height.
    """

    def __init__(self, width_px: int, height_px: int) -> None:
        self.pixels: ByteArray = np.zeros((height_px, width_px, 3), np.uint8)
        self.width = width_px / height_px

    def px(self, x: float, y: float) -> tuple[int, int]:
        """Return the pixel of a place."""
        return round(x * len(self.pixels)), round(y * len(self.pixels))

    def gradient(self, top: float, bottom: float, above: Colour, below: Colour) -> None:
        """Fill the rows between two heights from one colour to another."""
        rows = self.pixels[self.px(0, top)[1] : self.px(0, bottom)[1]]
        mix = np.linspace(0, 1, len(rows))[:, None, None]
        rows[:] = np.round((1 - mix) * np.array(above) + mix * np.array(below))

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Fill a rectangle given by its upper left corner."""
        import cv2

        cv2.rectangle(self.pixels, self.px(x, y), self.px(x + width, y + height), colour, -1)

    def disc(self, x: float, y: float, radius: float, colour: Colour, flat: float = 1.0) -> None:
        """Fill an ellipse whose height is `flat` times its width."""
        import cv2

        axes = (max(1, self.px(radius, 0)[0]), max(1, self.px(radius * flat, 0)[0]))
        cv2.ellipse(self.pixels, self.px(x, y), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    def shape(self, points: list[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        import cv2

        cv2.fillPoly(self.pixels, [np.array([self.px(x, y) for x, y in points])], colour, cv2.LINE_AA)

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, width: float = 0.01) -> None:
        """Draw a line."""
        import cv2

        cv2.line(self.pixels, self.px(x0, y0), self.px(x1, y1), colour, max(1, self.px(width, 0)[0]), cv2.LINE_AA)


def paint(rng: Generator, width_px: int, height_px: int) -> ByteArray:
    """Return a random scene, uint8 (H, W, 3)."""
    canvas = Canvas(width_px, height_px)
    scenes: tuple[Callable[[Canvas, Generator], None], ...] = (_room, _park, _street)
    scenes[int(rng.integers(len(scenes)))](canvas, rng)
    return _textured(canvas.pixels, rng)


def _textured(pixels: ByteArray, rng: Generator) -> ByteArray:
    """Add grain of two sizes, which gives optical flow something to hold on to."""
    import cv2

    h, w = pixels.shape[:2]
    total = pixels.astype(np.float32)
    for cell, strength in ((4, 5.0), (14, 4.0)):
        grain = rng.normal(0, strength, (-(-h // cell), -(-w // cell), 1)).astype(np.float32)
        total += cv2.resize(grain, (w, h), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(total, 0, 255).astype(np.uint8)


def _room(canvas: Canvas, rng: Generator) -> None:
    hue = rng.random()
    canvas.gradient(0, HORIZON, hsv(hue, 0.22, 0.86), hsv(hue, 0.28, 0.7))
    stripe = hsv(hue, 0.3, 0.74)
    for x in np.arange(0.04, canvas.width, rng.uniform(0.1, 0.18)):
        canvas.line(x, 0, x, HORIZON, stripe, 0.012)
    _planks(canvas, hsv(0.08, 0.5, rng.uniform(0.45, 0.6)))
    canvas.box(0, HORIZON - 0.03, canvas.width, 0.035, hsv(hue, 0.1, 0.93))
    _window(canvas, rng.uniform(0.05, 0.2), 0.12, rng)
    _shelf(canvas, canvas.width - rng.uniform(0.42, 0.5), rng)
    for x in rng.uniform(0.5, canvas.width - 0.6, 2):
        _picture(canvas, x, rng.uniform(0.08, 0.25), rng)
    _plant(canvas, rng.choice([0.09, canvas.width - 0.1]), rng)


def _planks(canvas: Canvas, colour: Colour) -> None:
    dark = tuple(round(0.82 * c) for c in colour)
    canvas.gradient(HORIZON, 1, (dark[0], dark[1], dark[2]), colour)
    middle = canvas.width / 2
    for x in np.linspace(-1.2, canvas.width + 1.2, 22):
        canvas.line(middle + 0.55 * (x - middle), HORIZON, x, 1, (dark[0], dark[1], dark[2]), 0.008)


def _window(canvas: Canvas, x: float, y: float, rng: Generator) -> None:
    frame, sky = (238, 236, 228), hsv(0.56, rng.uniform(0.25, 0.5), 0.95)
    canvas.box(x - 0.02, y - 0.02, 0.34, 0.4, frame)
    canvas.box(x, y, 0.3, 0.36, sky)
    canvas.disc(x + 0.1, y + 0.33, 0.09, hsv(0.33, 0.4, 0.6), 0.4)
    canvas.disc(x + 0.2, y + 0.1, 0.045, (250, 250, 250), 0.5)
    canvas.line(x + 0.15, y, x + 0.15, y + 0.36, frame, 0.014)
    canvas.line(x, y + 0.18, x + 0.3, y + 0.18, frame, 0.014)


def _shelf(canvas: Canvas, x: float, rng: Generator) -> None:
    for y in (0.3, 0.48):
        left = x
        while left < x + 0.33:
            width, height = rng.uniform(0.018, 0.035), rng.uniform(0.08, 0.13)
            canvas.box(left, y - height, width, height, hsv(rng.random(), 0.5, rng.uniform(0.4, 0.8)))
            left += width + 0.006
        canvas.box(x - 0.02, y, 0.4, 0.018, (112, 82, 58))


def _picture(canvas: Canvas, x: float, y: float, rng: Generator) -> None:
    width, height = rng.uniform(0.12, 0.2), rng.uniform(0.1, 0.16)
    hue = rng.random()
    canvas.box(x - 0.012, y - 0.012, width + 0.024, height + 0.024, (70, 54, 44))
    canvas.box(x, y, width, height, hsv(hue, 0.3, 0.9))
    canvas.disc(x + 0.6 * width, y + 0.45 * height, 0.3 * height, hsv(hue + 0.4, 0.55, 0.8))


def _plant(canvas: Canvas, x: float, rng: Generator) -> None:
    for _ in range(14):
        tip = x + rng.uniform(-0.09, 0.09), rng.uniform(0.4, 0.6)
        canvas.line(x, 0.72, *tip, hsv(0.33, 0.55, rng.uniform(0.35, 0.6)), 0.02)
    canvas.shape([(x - 0.05, 0.7), (x + 0.05, 0.7), (x + 0.035, 0.82), (x - 0.035, 0.82)], (168, 92, 62))


def _park(canvas: Canvas, rng: Generator) -> None:
    hue = rng.uniform(0.53, 0.6)
    canvas.gradient(0, HORIZON, hsv(hue, 0.45, 0.9), hsv(hue - 0.02, 0.12, 0.97))
    for x in rng.uniform(0, canvas.width, 3):
        _cloud(canvas, x, rng.uniform(0.06, 0.25), rng)
    _hills(canvas, 0.5, hsv(0.4, 0.25, 0.68), rng)
    _hills(canvas, 0.61, hsv(0.36, 0.38, 0.58), rng)
    for x in rng.uniform(0, canvas.width, int(rng.integers(3, 6))):
        _tree(canvas, x, rng)
    canvas.gradient(HORIZON, 1, hsv(0.3, 0.5, 0.52), hsv(0.27, 0.55, 0.66))
    for x, y in zip(rng.uniform(0, canvas.width, 160), rng.uniform(HORIZON, 1, 160), strict=True):
        canvas.line(x, y, x + 0.004, y - 0.02, hsv(0.29, 0.55, rng.uniform(0.4, 0.75)), 0.005)
    _fence(canvas, rng)


def _cloud(canvas: Canvas, x: float, y: float, rng: Generator) -> None:
    for shift in (-0.07, 0.0, 0.08):
        canvas.disc(x + shift, y + rng.uniform(-0.015, 0.015), rng.uniform(0.05, 0.08), (250, 251, 253), 0.55)


def _hills(canvas: Canvas, level: float, colour: Colour, rng: Generator) -> None:
    x = np.linspace(0, canvas.width, 60)
    waves = zip(rng.uniform(2, 8, 3), rng.uniform(0, 2 * pi, 3), strict=True)
    y = level + sum(0.035 * np.sin(k * x + p) for k, p in waves)
    canvas.shape([(0, 1), *zip(x.tolist(), y.tolist(), strict=True), (canvas.width, 1)], colour)


def _tree(canvas: Canvas, x: float, rng: Generator) -> None:
    size, hue = rng.uniform(0.09, 0.14), rng.uniform(0.25, 0.36)
    top = HORIZON - 0.28 - size
    canvas.box(x - 0.014, top + size, 0.028, HORIZON - top - size, (96, 72, 52))
    for value, shift in ((0.4, 0.0), (0.5, -0.02), (0.58, -0.04)):
        radius = size * (1 + 10 * shift * 0.8)
        canvas.disc(x + shift, top + size + shift, radius, hsv(hue, 0.5, value))


def _fence(canvas: Canvas, rng: Generator) -> None:
    colour = hsv(0.08, rng.uniform(0.1, 0.5), rng.uniform(0.6, 0.95))
    for x in np.arange(0.03, canvas.width, 0.11):
        canvas.box(x, HORIZON - 0.13, 0.024, 0.15, colour)
    for y in (HORIZON - 0.1, HORIZON - 0.045):
        canvas.box(0, y, canvas.width, 0.018, colour)


def _street(canvas: Canvas, rng: Generator) -> None:
    hue = rng.uniform(0.5, 1.1)
    canvas.gradient(0, HORIZON, hsv(hue, 0.35, 0.75), hsv(hue + 0.1, 0.3, 0.95))
    left = -0.05
    while left < canvas.width:
        width = rng.uniform(0.18, 0.34)
        _house(canvas, left, width, rng)
        left += width
    canvas.gradient(HORIZON, 1, (120, 120, 126), (158, 157, 160))
    canvas.box(0, HORIZON, canvas.width, 0.02, (196, 194, 190))
    for x in np.arange(0.05, canvas.width, 0.3):
        canvas.line(x, HORIZON + 0.02, x - 0.1, 1, (104, 104, 110), 0.006)
    for x in rng.uniform(0.05, canvas.width - 0.05, 3):
        canvas.disc(x, HORIZON + 0.01, rng.uniform(0.05, 0.08), hsv(0.33, 0.45, rng.uniform(0.3, 0.5)), 0.8)


def _house(canvas: Canvas, x: float, width: float, rng: Generator) -> None:
    top, wall = rng.uniform(0.08, 0.36), hsv(rng.uniform(-0.05, 0.15), rng.uniform(0.15, 0.5), rng.uniform(0.45, 0.8))
    canvas.box(x, top, width, HORIZON - top, wall)
    canvas.box(x - 0.008, top, width + 0.016, 0.025, (84, 72, 72))
    for y in np.arange(top + 0.06, HORIZON - 0.1, 0.13):
        for left in np.arange(x + 0.03, x + width - 0.05, 0.075):
            pane = hsv(0.14, 0.5, 0.98) if rng.random() < 0.3 else hsv(0.58, 0.35, rng.uniform(0.3, 0.6))
            canvas.box(left, y, 0.04, 0.07, pane)
