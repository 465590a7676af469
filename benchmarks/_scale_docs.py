"""The tables and figures of docs/scale.md, made from the result files: ``python benchmarks/_scale_docs.py``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``. Environment variables are not looked at: the page
shows the assumptions that are shipped.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from _scale_costs import (
    CHOICES,
    FAST_FLOW,
    RGB,
    TWO_STREAM,
    Choice,
    bottleneck,
    costs,
    demand,
    gpu_fleet,
    limits,
    memory_gib,
    pass_check,
)
from _scale_rates import Assumptions, Rates, measured

from tal.files import shipped

RESULTS = "scale_model-*.json"
GPUS, CORES = (1, 8, 64, 512, 4096), (2, 4, 8, 16, 32, 64)
SHORT = {TWO_STREAM: "both streams, bf16", FAST_FLOW: "the same, flow `fast`", RGB: "RGB only, bf16"}
MINUTES = (1 / 12, 0.5, 3, 10, 60)
MARK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def figure(value: float) -> str:
    """Return a number with three digits, or as a whole one from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def presets(rates: Rates, a: Assumptions) -> str:
    """What 1,000 hours need under each choice."""
    head = ["1,000 hours of video", "core-hours, CPU alone", "GPU-hours", "core-hours beside them", "shards, GB"]
    rows = []
    for choice in CHOICES:
        cpu, gpu = demand(choice, rates, a), demand(replace(choice, gpu=True), rates, a)
        needs = (cpu.cores, gpu.gpus, gpu.cores, cpu.shard_gb)
        memory = figure(memory_gib(choice, rates, a))
        rows.append([choice.name, *(figure(1000 * one) for one in needs), figure(1000 * cpu.flow_gb), memory])
    return table([*head, "flow images, GB", "memory on a CPU, GiB"], rows)


def stages(rates: Rates, a: Assumptions) -> str:
    """Where the time of the default goes."""
    cpu, gpu = (demand(replace(TWO_STREAM, gpu=one), rates, a) for one in (False, True))
    rows = [[name, figure(1000 * s / 3600), ""] for name, s in cpu.core_s.items()]
    rows += [[name, "", figure(1000 * s / 3600)] for name, s in gpu.gpu_s.items()]
    rows += [["videos in, GB", figure(1000 * cpu.in_gb), ""], ["shards out, GB", figure(1000 * cpu.shard_gb), ""]]
    return table(["1,000 hours, both streams, bf16", "core-hours, or GB", "GPU-hours (assumed)"], rows)


def limited(rates: Rates, a: Assumptions, choice: Choice, n_gpus: int, n_cores: int) -> tuple[str, float]:
    """Return what limits a fleet, and its speed, hours of video an hour."""
    need = demand(replace(choice, gpu=True), rates, a)
    return bottleneck(limits(need, gpu_fleet(n_gpus, n_cores, a), rates, a))


def by_cores(rates: Rates, a: Assumptions) -> str:
    """Speed and bottleneck of eight GPUs with few and many cores."""
    rows = []
    for n_cores in CORES:
        found = [limited(rates, a, choice, 8, n_cores) for choice in SHORT]
        rows.append([str(n_cores), *(f"{figure(speed / 8)}, {name}" for name, speed in found)])
    return table(["cores a GPU", *SHORT.values()], rows)


def by_gpus(rates: Rates, a: Assumptions) -> str:
    """Speed and bottleneck of small and large fleets, 16 cores a GPU."""
    rows = []
    for n in GPUS:
        found = [limited(rates, a, choice, n, 16) for choice in SHORT]
        rows.append([f"{n:,}", *(f"{figure(1e6 / speed / 24)} days, {name}" for name, speed in found)])
    return table(["GPUs", *SHORT.values()], rows)


def money(rates: Rates, a: Assumptions) -> str:
    """What a million hours cost at the prices of the assumptions."""
    columns = {"both streams, bf16, CPU alone": TWO_STREAM}
    columns |= {f"{SHORT[one]}, GPUs": replace(one, gpu=True) for one in SHORT}
    found = [costs(demand(one, rates, a), 1e6, a) for one in columns.values()]
    rows = [[what, *(f"{one[what]:,.0f}" for one in found)] for what in found[0]]
    return table(["1,000,000 hours", *columns], rows)


def objects(rates: Rates, a: Assumptions) -> str:
    """How many shards there are, how large, and what writing and listing them takes."""
    rows = []
    for minutes in MINUTES:
        need = demand(TWO_STREAM, rates, replace(a, minutes=minutes))
        n, each_kb = 1e6 * need.n_videos, need.shard_gb / need.n_videos * 1e6
        listed_h, paid = n / 1000 * 0.1 / 3600, n / 1000 * a.puts_1000
        length = f"{minutes:g} min" if minutes >= 1 else f"{60 * minutes:g} s"
        rows.append([length, figure(n / 1e6), figure(each_kb), f"{paid:,.0f}", figure(listed_h)])
    head = ["mean length", "objects, millions", "kB each", "writing them, at the example price"]
    return table([*head, "listing them, hours (1,000 a call, 0.1 s each)"], rows)


def check_pass(rates: Rates, a: Assumptions) -> str:
    """Whole passes as measured, and by the model."""
    rows = [[p, f"{m:.2f}", f"{s:.2f}", f"{100 * (s / m - 1):+.0f} %"] for p, (m, s) in pass_check(rates).items()]
    return table(["whole pass, 340x256 px, x real time", "measured", "model", "error"], rows)


def check_runs(rows: Sequence[Mapping[str, Any]]) -> str:
    """Measured runs, and the simulation of them."""
    found = [one for one in rows if one["name"].startswith("measured, ") and one["peer"] is not None]
    cells = [
        [
            _plain(one["name"]),
            f"{one['ours']:.2f}",
            f"{one['peer']:.2f}",
            f"{100 * (one['peer'] / one['ours'] - 1):+.0f} %",
        ]
        for one in found
    ]
    return table(["run", "measured", "simulated", "error"], cells)


def check_fleets(rows: Sequence[Mapping[str, Any]]) -> str:
    """Simulated fleets, and what the least limit says of them."""
    found = [one for one in rows if one["name"].startswith("simulated, ") and one["peer"] is not None]
    cells = [
        [_plain(one["name"]), figure(one["ours"]), figure(one["peer"]), f"{100 * one['ratio']:.0f} %"] for one in found
    ]
    return table(["fleet", "simulated, x real time", "least limit", "of it"], cells)


def _plain(name: str) -> str:
    return re.sub(r"^(measured|simulated), | \(peer: (simulated|the least limit)\)", "", name).replace(
        "(peer: ", "(limit: "
    )


def assumed(rates: Rates, a: Assumptions) -> str:
    """Every assumption, its variable and what it means."""
    told = dict(re.findall(r"^ {4}(\w+): (.*)$", inspect.cleandoc(Assumptions.__doc__ or ""), re.MULTILINE))
    return table(
        ["variable", "value", "what"], [[f"`TAL_SCALE_{k.upper()}`", f"{getattr(a, k):g}", v] for k, v in told.items()]
    )


TABLES: dict[str, Callable[[Rates, Assumptions], str]] = {
    "presets": presets, "stages": stages, "by_cores": by_cores, "by_gpus": by_gpus, "money": money,
    "objects": objects, "check_pass": check_pass, "assumed": assumed,
}  # fmt: skip
FROM_RESULTS: dict[str, Callable[[Sequence[Mapping[str, Any]]], str]] = {"runs": check_runs, "fleets": check_fleets}


def result_rows() -> list[dict[str, Any]]:
    """Return the rows of this benchmark's own result file."""
    (path, *_) = sorted((shipped("benchmarks") / "results").glob(RESULTS))
    return list(json.loads(path.read_text(encoding="utf-8"))["rows"])


def filled(page: str) -> str:
    """Return a page with its tables made anew."""
    rates, a, rows = measured(), Assumptions(), result_rows()

    def made(found: re.Match[str]) -> str:
        name = found[2]
        text = FROM_RESULTS[name](rows) if name in FROM_RESULTS else TABLES[name](rates, a)
        return f"{found[1]}{text}{found[3]}"

    return MARK.sub(made, page)


def main() -> None:
    """Write the page's tables and its figures."""
    from _scale_figures import draw

    docs = Path(__file__).parents[1] / "docs"
    page = docs / "scale.md"
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    for name, text in draw(measured(), Assumptions(), result_rows()).items():
        (docs / "images" / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
