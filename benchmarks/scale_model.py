"""What extraction at internet scale takes: a cost model from measured rates, and a simulation that is checked.

Measured rates come from the result files of other benchmarks, per CPU core. What was not measured is an assumption
(`_scale_rates.Assumptions`): GPUs, networks, object stores, prices, the videos. ``TAL_SCALE_NAME=value`` replaces one,
such as ``TAL_SCALE_GPU_HOUR=1.5`` or ``TAL_SCALE_MINUTES=4``.

Rows "1,000 hours, ...": what each choice needs. Rows "simulated, ...": machines of which some are slow or lost, long
and short videos. Rows "measured, ...": real runs beside what the simulation says of them, fitted on one of them only:
passes whose arithmetic is replaced by waiting, and whole commands. What else the machine does disturbs only the
latter. ``TAL_BENCH_FOLDER`` keeps the commands' times, and ``TAL_BENCH_SECONDS`` ends a call after so
long: the next call goes on. `--quick`: one round of them, a small simulated fleet.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from _scale_costs import CHOICES, Demand, costs, demand, memory_gib, pass_check
from _scale_fleets import fleets
from _scale_local import Local
from _scale_rates import Assumptions, Rates, assumptions, measured
from _scale_waits import waits

from tal.bench import Row
from tal.progress import Progress

ROUNDS, HOURS = 7, 1000.0


def run(quick: bool, progress: Progress) -> list[Row]:
    """Compute the costs, simulate fleets, and compare the simulation with real runs."""
    rates, a, n_rounds = measured(), assumptions(), 1 if quick else ROUNDS
    until_s = time.monotonic() + float(os.environ.get("TAL_BENCH_SECONDS", "1e9"))
    with _kept_folder() as folder, progress.task("runs", n_rounds, "rounds") as bar:
        local = Local(folder).go(n_rounds, until_s, bar)
    with progress.task("simulations", None, "fleets") as bar:
        simulated = list(fleets(rates, a, quick, bar))
    with progress.task("passes", 4, "passes") as bar:
        waited = list(waits(bar))
    return [*needs(rates, a), *checks(rates), *simulated, *waited, *local]


def needs(rates: Rates, a: Assumptions) -> Iterator[Row]:
    """Yield what 1,000 hours of video need under each choice."""
    for choice in CHOICES:
        name, on_gpu = f"1,000 hours, {choice.name}", replace(choice, gpu=True)
        cpu, gpu = demand(choice, rates, a), demand(on_gpu, rates, a)
        yield Row(f"{name}: CPU alone", HOURS * cpu.cores, "core-hours")
        yield Row(f"{name}: with GPUs (assumed)", HOURS * gpu.gpus, "GPU-hours")
        yield Row(f"{name}: beside GPUs", HOURS * gpu.cores, "core-hours")
        yield Row(f"{name}: shards", HOURS * cpu.shard_gb, "GB")
        yield Row(f"{name}: CPU alone, at the assumed prices", _paid(cpu, a), "money")
        yield Row(f"{name}: with GPUs, at the assumed prices", _paid(gpu, a), "money")
        yield Row(f"{name}: memory of a process on a CPU", memory_gib(choice, rates, a), "GiB")


def _paid(need: Demand, a: Assumptions) -> float:
    """Return what is paid for computing and writing; reading from elsewhere and keeping come on top."""
    parts = costs(need, HOURS, a)
    return parts["CPU"] + parts["GPU"] + parts["writing objects"]


def checks(rates: Rates) -> Iterator[Row]:
    """Yield whole passes as measured beside the model's."""
    for precision, (speed, modelled) in pass_check(rates).items():
        yield Row(f"whole pass, {precision}, 340x256 px (peer: this model)", speed, "x real time", modelled)


@contextmanager
def _kept_folder() -> Iterator[Path]:
    if named := os.environ.get("TAL_BENCH_FOLDER"):
        yield Path(named)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
