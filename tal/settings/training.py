"""One training run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tal.settings.base import Section


class TrainSettings(Section):
    """One training run.

    Attributes:
        fusion: ``late`` trains one network per stream, ``early`` one on both concatenated, ``rgb``, ``flow`` one alone.
        seed: Seed of initialisation, order and sampling.
        steps: Optimizer updates per network.
        batch_size: Videos per update.
        lr: Learning rate of Adam.
        weight_decay: Coupled L2 decay of Adam.
        n_snippets: Snippets T sampled from each video (STPN, section 4.2: 400).
        standardise: Bring each feature dimension to mean 0 and deviation 1 over the training snippets first. No paper
            does; features of random weights need it, Kinetics features do not.
        sampling: ``stratified`` draws one snippet per equal stratum, ``uniform`` takes its first.
    """

    fusion: Literal["late", "early", "rgb", "flow"] = "late"
    seed: int = Field(0, ge=0)
    steps: int = Field(8000, ge=1)
    batch_size: int = Field(6, ge=1)
    lr: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    n_snippets: int = Field(400, ge=1)
    sampling: Literal["stratified", "uniform"] = "stratified"
    standardise: bool = False
