"""How the demo's person moves: a pose for every moment of an action.

Lengths are in body heights, the ground is y = 0 and y points up. Angles are in radians; those of limbs are measured
from hanging straight down and open outwards. Classes differ by motion only: who acts, and where, is the same in all.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin
from typing import NamedTuple

STRIDE = 0.52  # way that one walking cycle covers, body heights


class Pose(NamedTuple):
    """Where the parts of the figure are.

    Attributes:
        x: Sideways shift of the whole figure.
        y: Height of the whole figure over the ground.
        hip: Height of the hip over the figure's own ground.
        lean: Angle of the torso, to the right.
        arm_l: Angle of the left upper arm (left in the image).
        arm_r: Angle of the right upper arm.
        elbow_l: Bend of the left elbow.
        elbow_r: Bend of the right elbow.
        foot_l: Sideways place of the left foot from below the hip.
        foot_r: Sideways place of the right foot.
        lift_l: Height of the left foot.
        lift_r: Height of the right foot.
        side: 0 seen from the front, 1 from the side and facing right, -1 facing left.
        spin: Rotation of the whole figure about its middle, clockwise, in [-pi, pi).
    """

    x: float = 0.0
    y: float = 0.0
    hip: float = 0.487
    lean: float = 0.0
    arm_l: float = 0.2
    arm_r: float = 0.2
    elbow_l: float = 0.12
    elbow_r: float = 0.12
    foot_l: float = -0.09
    foot_r: float = 0.09
    lift_l: float = 0.0
    lift_r: float = 0.0
    side: float = 0.0
    spin: float = 0.0

    def blend(self, other: Pose, weight: float) -> Pose:
        """Return the pose between this one (weight 0) and `other` (weight 1)."""
        return Pose(*(a + weight * (b - a) for a, b in zip(self, other, strict=True)))

    def mirrored(self) -> Pose:
        """Return the pose as a mirror shows it."""
        x, y, hip, lean, arm_l, arm_r, elbow_l, elbow_r, foot_l, foot_r, lift_l, lift_r, side, spin = self
        arms = (arm_r, arm_l, elbow_r, elbow_l)
        return Pose(-x, y, hip, -lean, *arms, -foot_r, -foot_l, lift_r, lift_l, -side, -spin)


def stand(t: float) -> Pose:
    """Return the idle pose at `t` seconds: a slight sway."""
    sway = sin(2 * pi * 0.3 * t)
    return Pose(
        hip=0.484 + 0.004 * sin(2 * pi * 0.37 * t), lean=0.025 * sway, arm_l=0.2 + 0.03 * sway, arm_r=0.2 - 0.03 * sway
    )


def walk(way: float) -> Pose:
    """Return the pose of a stroll to the right after `way` body heights; the caller moves the figure along."""
    phase = 2 * pi * way / STRIDE
    swing, lift = sin(phase), cos(phase)
    return Pose(
        hip=0.475 + 0.008 * cos(2 * phase),
        lean=0.05,
        arm_l=0.4 * swing,
        arm_r=0.4 * swing,
        elbow_l=-0.25,
        elbow_r=0.25,
        foot_l=0.13 * swing,
        foot_r=-0.13 * swing,
        lift_l=0.05 * max(0.0, lift),
        lift_r=0.05 * max(0.0, -lift),
        side=1.0,
    )


def jump(t: float, duration_s: float) -> Pose:
    """Jump on the spot: a parabola in the air, a dip on the ground."""
    part, in_air = (t / 0.8) % 1, 0.65
    if part < in_air:
        u = part / in_air
        height = 4 * u * (1 - u)
        arm, tuck = 0.4 + 0.5 * height, 0.07 * height
        return Pose(y=0.3 * height, arm_l=arm, arm_r=arm, lift_l=tuck, lift_r=tuck)
    dip = sin(pi * (part - in_air) / (1 - in_air))
    return Pose(hip=0.487 - 0.15 * dip, arm_l=0.4 - 0.2 * dip, arm_r=0.4 - 0.2 * dip)


def wave(t: float, duration_s: float) -> Pose:
    """Wave both stretched arms from the sides to overhead and back."""
    arm = 1.55 - 1.25 * cos(2 * pi * 0.95 * t)
    return Pose(arm_l=arm, arm_r=arm, elbow_l=0.08, elbow_r=0.08)


def cartwheel(t: float, duration_s: float) -> Pose:
    """Turn on the spot with arms and legs spread, a whole number of times."""
    turned = 2 * pi * max(1, round(0.6 * duration_s)) * t / duration_s
    spin = (turned + pi) % (2 * pi) - pi
    return Pose(
        y=0.07, hip=0.47, arm_l=2.45, arm_r=2.45, elbow_l=0.0, elbow_r=0.0, foot_l=-0.26, foot_r=0.26, spin=spin
    )


def squat(t: float, duration_s: float) -> Pose:
    """Squat deeply and rise, hands on the hips."""
    depth = 0.5 - 0.5 * cos(2 * pi * 0.85 * t)
    hip = 0.487 - 0.3 * depth
    return Pose(hip=hip, arm_l=0.75, arm_r=0.75, elbow_l=-1.5, elbow_r=-1.5, foot_l=-0.13, foot_r=0.13)


def sidestep(t: float, duration_s: float) -> Pose:
    """Step quickly from side to side, elbows bent."""
    phase = 2 * pi * 0.65 * t
    step = sin(4 * phase)
    return Pose(
        x=0.42 * sin(phase),
        hip=0.44,
        lean=0.16 * cos(phase),
        arm_l=0.6,
        arm_r=0.6,
        elbow_l=1.3,
        elbow_r=1.3,
        foot_l=-0.14 - 0.06 * step,
        foot_r=0.14 - 0.06 * step,
        lift_l=0.07 * max(0.0, step),
        lift_r=0.07 * max(0.0, -step),
    )


ACTIONS: dict[str, Callable[[float, float], Pose]] = {
    "cartwheel": cartwheel,
    "jump": jump,
    "sidestep": sidestep,
    "squat": squat,
    "wave": wave,
}
