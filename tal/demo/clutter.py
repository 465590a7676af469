"""What moves in the demo's scenes without being an action: a rolling ball, a balloon, a blinking lamp."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

from numpy.random import Generator

from tal.demo.scenery import HORIZON, Canvas, Colour, hsv

KINDS = ("ball", "balloon", "lamp")


@dataclass(frozen=True, slots=True)
class Clutter:
    """One moving thing; lengths are shares of the canvas height.

    Attributes:
        kind: One of `KINDS`.
        x: Middle of its way.
        y: Height above which it stays.
        reach: Half its way, sideways.
        period_s: Time for there and back, or from blink to blink.
        phase: Where it begins, radians.
        colour: RGB.
    """

    kind: str
    x: float
    y: float
    reach: float
    period_s: float
    phase: float
    colour: Colour

    def draw(self, canvas: Canvas, t: float) -> None:
        """Draw it as it is at `t` seconds."""
        angle = 2 * pi * t / self.period_s + self.phase
        {"ball": self._ball, "balloon": self._balloon, "lamp": self._lamp}[self.kind](canvas, angle)

    def _ball(self, canvas: Canvas, angle: float) -> None:
        x, radius = self.x + self.reach * sin(angle), 0.045
        turn = self.reach * sin(angle) / radius
        canvas.disc(x, self.y + radius, 0.05, (60, 58, 60), 0.3)
        canvas.disc(x, self.y, radius, self.colour)
        canvas.disc(x + 0.6 * radius * cos(turn), self.y + 0.6 * radius * sin(turn), 0.3 * radius, (250, 250, 245))

    def _balloon(self, canvas: Canvas, angle: float) -> None:
        x, y = self.x + self.reach * sin(angle), self.y + 0.03 * sin(2 * angle)
        canvas.line(x, y + 0.06, x + 0.012 * sin(3 * angle), y + 0.16, (90, 90, 90), 0.005)
        canvas.disc(x, y, 0.052, self.colour, 1.2)
        canvas.disc(x - 0.018, y - 0.022, 0.012, (250, 250, 245))

    def _lamp(self, canvas: Canvas, angle: float) -> None:
        canvas.line(self.x, self.y, self.x, HORIZON + 0.02, (66, 66, 74), 0.016)
        lit = sin(angle) > 0
        if lit:
            canvas.disc(self.x, self.y, 0.05, (255, 240, 190))
        canvas.disc(self.x, self.y, 0.032, (255, 252, 235) if lit else (120, 112, 96))


def scatter(rng: Generator, width: float) -> tuple[Clutter, ...]:
    """Return one or two different things for a canvas of this width."""
    kinds = rng.choice(KINDS, int(rng.integers(1, 3)), replace=False)
    return tuple(_one(str(kind), rng, width) for kind in kinds)


def _one(kind: str, rng: Generator, width: float) -> Clutter:
    heights = {"ball": (0.78, 0.82), "balloon": (0.12, 0.2), "lamp": (0.26, 0.36)}
    return Clutter(
        kind,
        float(rng.uniform(0.35, width - 0.35)) if kind != "lamp" else float(rng.choice([0.12, width - 0.12])),
        float(rng.uniform(*heights[kind])),
        float(rng.uniform(0.15, 0.3)),
        float(rng.uniform(1.2, 2.0) if kind == "lamp" else rng.uniform(8, 12)),
        float(rng.uniform(0, 2 * pi)),
        hsv(rng.random(), 0.75, 0.9),
    )
