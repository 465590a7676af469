"""Extraction on a Ray cluster: the same survey, locks, ledger and report as on one machine, the work done by workers.

Shards are the same bytes as those of a local run on a machine of the same kind: a worker is a local pass, a video is
made by one worker from its first frame to its last, and what else is in a batch does not change its features on a CPU.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tal.cache import Cache
from tal.pipeline import extraction
from tal.pipeline.claims import half_written
from tal.pipeline.context import Context, context
from tal.pipeline.engines import Recipe, recipe_for
from tal.pipeline.extract_reports import ExtractReport
from tal.pipeline.filling import Filling
from tal.pipeline.keys import Paths, as_paths
from tal.pipeline.parts import Selection
from tal.pipeline.ray_cluster import RayOptions, connected, known_place, shares_of
from tal.pipeline.ray_desk import Desk
from tal.pipeline.ray_filling import Driven
from tal.pipeline.ray_fleet import Fleet
from tal.pipeline.ray_hands import Bars
from tal.pipeline.ray_orders import Orders, recipe_on
from tal.pipeline.ray_stores import meeting, probes_of
from tal.pipeline.supervising import Job
from tal.pipeline.surveying import Survey
from tal.progress import Progress
from tal.settings import Settings


def extract_on_ray(
    videos: Paths,
    out: Path | str = "features",
    settings: Settings | None = None,
    *,
    options: RayOptions | None = None,
    selection: Selection | None = None,
    retry_failed: bool = False,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> ExtractReport:
    """Extract the features of videos as `extract` does, with workers on a Ray cluster.

    All nodes must see the videos and `out` under the same paths, or reach the stores that they name with credentials
    of their own, and have the same version of tal. ``runtime.isolate`` has no meaning here: every worker is a process
    of its own.

    Args:
        videos: As `extract` takes them, like all that follow.
        out: Folder for shards, shared by all nodes, or URL.
        settings: Default: what the package ships.
        options: Which cluster; by default one is started on this machine.
        selection: Which of the videos; default: all.
        retry_failed: Whether poison videos are tried again.
        cache: Where calibrated weights and digests are remembered.
        progress: Who is told.

    Raises:
        ConfigError: If there is a password in a URL.
        BackendError: If Ray or the cluster is not there, or no worker can go on.
        TalError: What `extract` raises.
    """
    ctx = context(settings, cache, progress)
    places, folder = [Path(known_place(one)) for one in as_paths(videos)], Path(known_place(out))
    job = Job.of(places, folder, selection or Selection(), retry_failed, ctx)
    with ExitStack() as stack:
        return extraction.run_job(job, ctx, _Engine(options or RayOptions(), stack))


@dataclass(frozen=True)
class _Engine:
    """Makes shards on a cluster, which is not joined before there is something to do on it."""

    options: RayOptions
    stack: ExitStack

    @cached_property
    def ray(self) -> Any:
        """The module, connected until the stack is closed."""
        return self.stack.enter_context(connected(self.options))

    def recipe_for(self, ctx: Context, videos: Sequence[Path]) -> Recipe:
        """Decide engines and weights: on a machine with a GPU, where the cluster has some and this one has none."""
        device = ctx.settings.runtime.device
        if not self.options.address or device == "cpu" or _has_gpu():
            return recipe_for(ctx, videos)
        share = next((one for one in shares_of(self.ray.nodes(), self.options, device) if one.n_gpus), None)
        if share is None:
            return recipe_for(ctx, videos)
        return recipe_on(self.ray, share, ctx, videos)

    def fill(self, filling: Filling, videos: Sequence[Path], job: Job) -> None:
        """Make what is not there."""
        found = Survey(filling.target, filling.tally, job.retry_failed).of(videos)
        if not (found.waiting or found.suspects):
            return
        filling = Driven(filling.target, filling.tally)
        filling._keys, filling._halves = {**found.waiting, **found.suspects}, half_written(filling.target.folder)
        filling._outage.in_charge = True
        progress = filling.target.ctx.progress
        desk = Desk(found.waiting, found.suspects, ahead=filling.target.ctx.settings.runtime.batch + 2)
        with (
            progress.task("extract", desk.n_left, "videos") as bar,
            progress.task("features", None, "snippets") as snippets,
            self._fleet(filling, desk, Bars(bar, snippets), job) as fleet,
        ):
            fleet.work()
            for path in filling._later:  # others had them in work
                if filling._claim(path, bar, wait=True):
                    filling._release(path)
                    desk.add(path)
                    fleet.work()
            fleet.finish()
        filling._outage.check()

    @contextmanager
    def _fleet(self, filling: Filling, desk: Desk, bars: Bars, job: Job) -> Iterator[Fleet]:
        recipe, ctx = filling.target.recipe, filling.target.ctx
        weights = {stream: self.ray.put(path.read_bytes()) for stream, path in recipe.weights.items()}
        with meeting(filling.target.outlet, ctx.settings.runtime) as token:
            settings = ctx.settings.model_copy(update={"extract": recipe.settings}).model_dump(mode="json")
            files = {stream: os.path.abspath(path) for stream, path in recipe.weights.items()}  # noqa: PTH100
            probes = probes_of(ctx.cache, list(filling._keys))
            orders = Orders(
                settings, recipe.sha256, files, job.out, job.cache, platform.node(), token, probes, job.force
            )
            fleet = Fleet(
                self.ray,
                options=self.options,
                orders=orders,
                weights=weights,
                filling=filling,
                desk=desk,
                bars=bars,
            )
            try:
                yield fleet
            finally:
                fleet.close()
                for path in list(filling._held):
                    filling._release(path)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
