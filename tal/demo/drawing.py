"""Draws a pose as a person with an outline, a face and a shadow.

Knees follow from hip and foot by two-bone inverse kinematics: both leg bones have the same length, so the knee lies on
the perpendicular through the middle between hip and foot.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, degrees, sin

import numpy as np
from numpy.typing import NDArray

from tal.demo.figures import Pose
from tal.types import ByteArray

Point = NDArray[np.float64]
Colour = tuple[int, int, int]
Pixel = tuple[int, int]

LEG = 0.235  # upper and lower leg, each, body heights
ARM = 0.185  # upper and lower arm, each
TORSO = 0.29
HEAD = 0.115  # radius
OUTLINE = 0.018


@dataclass(frozen=True, slots=True)
class Look:
    """Colours (RGB) of one person."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a person stands on a canvas: column and row of the ground below, and body height, all px."""

    column: float
    row: float
    height: float

    def px(self, point: Point) -> Pixel:
        """Return the pixel of a point given in body heights over the ground."""
        return round(self.column + point[0] * self.height), round(self.row - point[1] * self.height)

    def length(self, value: float) -> int:
        """Return a length given in body heights, at least 1 px."""
        return max(1, round(value * self.height))


@dataclass(frozen=True, slots=True)
class Limb:
    """A thick line with round ends, lengths in body heights."""

    start: Point
    end: Point
    width: float
    colour: Colour


def skeleton(pose: Pose, look: Look) -> tuple[list[Limb], Point]:
    """Return the limbs from back to front, and the middle of the head, in body heights over the ground."""
    hip = np.array([0.0, pose.hip])
    up = np.array([sin(pose.lean), cos(pose.lean)])
    neck, narrow = hip + TORSO * up, 1 - 0.6 * abs(pose.side)
    left_leg = _leg(_moved(hip, -0.055 * narrow, 0), (pose.foot_l, pose.lift_l), -1 + abs(pose.side) + pose.side, look)
    right_leg = _leg(_moved(hip, 0.055 * narrow, 0), (pose.foot_r, pose.lift_r), 1 - abs(pose.side) + pose.side, look)
    left_arm = _arm(_moved(neck, -0.105 * narrow, -0.035), -pose.arm_l, -pose.elbow_l, look)
    right_arm = _arm(_moved(neck, 0.105 * narrow, -0.035), pose.arm_r, pose.elbow_r, look)
    chest = [
        Limb(_moved(hip, s * 0.035 * narrow, 0.02), _moved(neck, s * 0.06 * narrow, -0.05), 0.13, look.shirt)
        for s in (-1, 1)
    ]
    throat = Limb(neck - 0.03 * up, neck + 0.05 * up, 0.07, look.skin)
    return _placed([*left_arm, *left_leg, *right_leg, throat, *chest, *right_arm], neck + (HEAD + 0.03) * up, pose)


def _moved(point: Point, right: float, up: float) -> Point:
    return np.asarray(point + np.array([right, up]))


def _leg(hip: Point, place: tuple[float, float], forward: float, look: Look) -> list[Limb]:
    """Return one leg; the knee bends to the right for `forward` 1, to the left for -1."""
    wanted = np.array([place[0], place[1] + 0.03]) - hip
    length = float(np.hypot(*wanted))
    along = wanted / length
    half = min(length / 2, LEG)
    foot = hip + 2 * half * along
    knee = hip + half * along + forward * np.sqrt(LEG**2 - half**2) * np.array([-along[1], along[0]])
    toe = _moved(foot, 0.05 * forward, -0.005)
    return [
        Limb(foot, toe, 0.07, look.shoes),
        Limb(knee, foot, 0.085, look.trousers),
        Limb(hip, knee, 0.105, look.trousers),
    ]


def _arm(shoulder: Point, angle: float, bend: float, look: Look) -> list[Limb]:
    elbow = shoulder + ARM * np.array([sin(angle), -cos(angle)])
    hand = elbow + ARM * np.array([sin(angle + bend), -cos(angle + bend)])
    return [
        Limb(elbow, hand, 0.08, look.skin),
        Limb(shoulder, elbow, 0.095, look.shirt),
    ]


def _placed(limbs: list[Limb], head: Point, pose: Pose) -> tuple[list[Limb], Point]:
    c, s = cos(pose.spin), sin(pose.spin)
    turn, middle, shift = np.array([[c, s], [-s, c]]), np.array([0.0, 0.5]), np.array([pose.x, pose.y])

    def place(point: Point) -> Point:
        return np.asarray(turn @ (point - middle) + middle + shift)

    return [Limb(place(one.start), place(one.end), one.width, one.colour) for one in limbs], place(head)


def draw_person(canvas: ByteArray, pose: Pose, look: Look, stage: Stage) -> None:
    """Draw a person and its shadow onto a canvas, uint8 (H, W, 3), in place."""
    import cv2

    limbs, head = skeleton(pose, look)
    _shadow(canvas, stage, pose)
    dark = (30, 28, 38)
    for one in limbs:
        width = stage.length(one.width + 2 * OUTLINE)
        cv2.line(canvas, stage.px(one.start), stage.px(one.end), dark, width, cv2.LINE_AA)
    cv2.circle(canvas, stage.px(head), stage.length(HEAD + OUTLINE), dark, -1, cv2.LINE_AA)
    for one in limbs:
        width = stage.length(one.width)
        cv2.line(canvas, stage.px(one.start), stage.px(one.end), one.colour, width, cv2.LINE_AA)
    _draw_head(canvas, head, pose, look, stage)


def _shadow(canvas: ByteArray, stage: Stage, pose: Pose) -> None:
    import cv2

    shaded = canvas.copy()
    centre = stage.px(np.array([pose.x, -0.015]))
    axes = (stage.length(0.27 - 0.3 * min(pose.y, 0.4)), stage.length(0.045))
    cv2.ellipse(shaded, centre, axes, 0, 0, 360, (20, 20, 26), -1, cv2.LINE_AA)
    cv2.addWeighted(shaded, 0.45, canvas, 0.55, 0, dst=canvas)


def _draw_head(canvas: ByteArray, head: Point, pose: Pose, look: Look, stage: Stage) -> None:
    import cv2

    angle = pose.spin + pose.lean
    right, up = np.array([cos(angle), -sin(angle)]), np.array([sin(angle), cos(angle)])
    radius = stage.length(HEAD)
    cv2.circle(canvas, stage.px(head), radius, look.skin, -1, cv2.LINE_AA)
    crown = stage.px(head + 0.015 * up - 0.02 * pose.side * right)
    cv2.ellipse(canvas, crown, (radius, radius), degrees(angle), 180, 360, look.hair, -1, cv2.LINE_AA)
    for s in (-1, 1):
        eye = head - 0.025 * up + (s * 0.042 * (1 - 0.5 * abs(pose.side)) + 0.045 * pose.side) * right
        cv2.circle(canvas, stage.px(eye), stage.length(0.016), (30, 28, 38), -1, cv2.LINE_AA)
