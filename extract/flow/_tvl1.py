"""TV-L1 optical flow: the algorithm that all engines of ours compute, its parameters and qualities.

C. Zach, T. Pock, H. Bischof, "A Duality Based Approach for Realtime TV-L1 Optical Flow", DAGM 2007, in the form that
OpenCV's ``DualTVL1OpticalFlow`` gave it (A. Wedel et al. 2009 for the median filter), for gray frames I0 and I1 in
[0, 255]:

- A pyramid of both frames, each level the one below scaled bilinearly by `scale_step`; the flow u starts at zero on the
  coarsest level and is scaled up bilinearly, its values too.
- On each level the dual variables p start at zero. `n_warps` times: I1 and its central differences are sampled
  bicubically (a = -0.75, zero outside) at x + u, which linearises the residual:
  rho(u) = I1w + (u - u0) . grad I1w - I0.
- Then `n_outer` times: u is median filtered (`median` x `median`), and `n_inner` times
  v = u + soft step of rho (threshold lambda * theta * |grad|^2), u = v + theta * div p, and
  p = (p + tau / theta * grad u) / (1 + tau / theta * |grad u|), with forward differences for grad, backward for div.
- Where epsilon > 0, the iterations of a warp end early, median filters and all: after each `stop_every` iterations of a
  round and after its last, when the mean over the pixels of |change of u in that iteration|^2 is at most epsilon^2.
  OpenCV looks after every iteration.

Facts checked against OpenCV 5.0: p is kept from warp to warp; scaling down maps pixel centres with 1 / `scale_step`,
scaling up with the ratio of the sizes; u is then multiplied by 1 / `scale_step` in both directions; the central
differences are one-sided halves at the border ((I[1] - I[0]) / 2); a |grad|^2 below 1.2e-7 counts as that; the
median repeats the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of the solver; the defaults are OpenCV's, with all iterations.

    Attributes:
        tau: Step of the dual update.
        lambda_: Weight of the data term.
        theta: Coupling of u and v.
        n_scales: Levels of the pyramid, at most; small frames have fewer.
        scale_step: Size of a level over that of the one below.
        n_warps: Warps per level.
        median: Side of the median filter, px; 1 for none.
        n_outer: Rounds per warp, each with one median filter.
        n_inner: Iterations per round.
        epsilon: Root mean square change of u that ends a warp early, px; 0 for never.
        stop_every: Iterations from one look at that change to the next, within a round.
    """

    tau: float = 0.25
    lambda_: float = 0.15
    theta: float = 0.3
    n_scales: int = 5
    scale_step: float = 0.8
    n_warps: int = 5
    median: int = 5
    n_outer: int = 10
    n_inner: int = 30
    epsilon: float = 0.0
    stop_every: int = 10


QUALITIES: Final = {
    "exact": Parameters(),
    "default": Parameters(epsilon=0.01),
    "fast": Parameters(n_warps=3, n_outer=1, epsilon=0.02, stop_every=5),
}
"""``exact`` runs all iterations. ``default`` stops by OpenCV's default rule, but looks at every tenth iteration, not at
each. ``fast`` is about three times as fast.

Mean distance to OpenCV's flow with all iterations, on frames of 340 x 256 px from nine videos, the mean (median) over
the videos: ``default`` 0.06 (0.03) px, ``fast`` 0.5 (0.08) px, OpenCV's own default 0.07 (0.04) px. Means are made by
large motions, where iterations are needed most.
"""
MIN_SIDE: Final = 16
"""Levels with a shorter side are left out, px (OpenCV's rule)."""


def pyramid_sizes(height: int, width: int, parameters: Parameters) -> list[tuple[int, int]]:
    """Return (height, width) of each level, px, the finest first.

    OpenCV scales the level below by `scale_step` and rounds halves to even; it stops before a side is shorter than
    `MIN_SIDE`.
    """
    sizes = [(height, width)]
    while len(sizes) < parameters.n_scales:
        h, w = (round(side * parameters.scale_step) for side in sizes[-1])
        if min(h, w) < MIN_SIDE:
            break
        sizes.append((h, w))
    return sizes
