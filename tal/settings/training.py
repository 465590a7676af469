"""One training run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tal.settings.base import Section


class TrainSettings(Section):
    """One training run.

    Attributes:
        fusion: ``late`` trains one network per stream, ``early`` one on both concatenated, ``rgb``, ``flow`` one alone.
        seed: Seed of initialisation, order and sampling.
        steps: Optimizer updates per network.
        batch_size: Videos per batch.
        accumulate: Batches whose gradients are added up for one update.
        lr: Learning rate of Adam.
        decay_at: After which shares of the updates the learning rate is multiplied by `decay`, each in (0, 1).
        decay: What it is multiplied by.
        weight_decay: Coupled L2 decay of Adam.
        n_snippets: Snippets T sampled from each video (STPN, section 4.2: 400).
        standardise: Bring each feature dimension to mean 0 and deviation 1 over the training snippets first. No paper
            does; features of random weights need it, Kinetics features do not.
        sampling: ``stratified`` draws one snippet per equal stratum, both of its ends included, ``sparse`` one strictly
            inside (CPMN, section 3.2), ``uniform`` takes a stratum's first, ``shot`` draws one per shot (CPMN), and
            ``whole`` takes whole videos, with methods that can.
        guide: Another model whose word about the training videos the method learns from (seeds, pseudo labels): a
            method's name, to be trained first on the same videos with that method's shipped settings, or a run folder,
            or a model file. Empty for none.
        last: How many of the last states of the network are kept as models; 1 keeps the final one alone.
        last_every: Updates between them.
    """

    fusion: Literal["late", "early", "rgb", "flow"] = "late"
    seed: int = Field(0, ge=0)
    steps: int = Field(8000, ge=1)
    batch_size: int = Field(6, ge=1)
    accumulate: int = Field(1, ge=1)
    lr: float = Field(1e-4, gt=0)
    decay_at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    decay: float = Field(0.1, gt=0, le=1)
    weight_decay: float = Field(0.0, ge=0)
    n_snippets: int = Field(400, ge=1)
    sampling: Literal["stratified", "sparse", "uniform", "shot", "whole"] = "stratified"
    standardise: bool = False
    guide: str = ""
    last: int = Field(1, ge=1, le=100)
    last_every: int = Field(100, ge=1)
