"""What each stage of an extraction takes: measured on CPU cores, read from the result files; assumed for GPUs.

Every measured rate comes from ``benchmarks/results``, by the name of its row; nothing is copied. What could not be
measured without a GPU, a cluster or a price list is an `Assumption`, which the environment can replace.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from tal.errors import ConfigError
from tal.files import shipped

PREFIX = "TAL_SCALE_"
SMALL_PX, LARGE_PX, FLOW_PX = 320 * 240, 1280 * 720, 340 * 256
"""Pictures on which decoding and flow were measured, px."""
SNIPPET_PX, SNIPPET_FRAMES = 224 * 224, 16
QUALITIES = ("exact", "default", "fast")
STREAMS = ("rgb", "flow")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Rates:
    """Core-seconds of each stage, measured.

    Attributes:
        decode_s: Per decoded frame, scaled to short side 256.
        decode_px_s: The same, per px of the frame on top of `decode_s`.
        flow_px_s: Quality to seconds per px of a pair of frames.
        network_s: Stream and precision to seconds per snippet of 16 frames of 224x224 px.
        network_gflop: Stream to the work in such a snippet, GFLOP.
        passes: Precision to the speed of a whole pass, in times real time, and the cores that it had.
        memory_gib: Peak of a process whose frames are small, for two hours of video.
        ledger_s: Finding, claiming and writing down one video; None where it was not measured.
    """

    decode_s: float
    decode_px_s: float
    flow_px_s: Mapping[str, float]
    network_s: Mapping[tuple[str, str], float]
    network_gflop: Mapping[str, float]
    passes: Mapping[str, tuple[float, int]]
    memory_gib: float
    ledger_s: float | None


@dataclass(frozen=True)
class Assumptions:
    """What was not measured here. ``TAL_SCALE_NAME=value`` in the environment replaces a value.

    Attributes:
        width: Of the videos, px.
        height: Of the videos, px.
        fps: Frames per second in the files.
        mbit_s: Bit rate of the files, Mbit/s.
        minutes: Mean length of a video.
        spread: Standard deviation of the logarithm of the length (log-normal).
        gpu_tflops_bf16: What one GPU keeps up on I3D, TFLOP/s.
        gpu_tflops_fp32: The same in float32.
        gpu_pairs_s: Flow on one GPU, pairs of 340x256 px a second in quality `default`.
        gpu_frames_s: Frames of 1280x720 px a second that a GPU's own decoder gives; 0: CPU cores decode.
        host_ms: CPU work beside the GPU for each frame that is used: copies, conversion, cropping.
        flow_image_kb: A pair of flow images (JPEG, 340x256 px), kB.
        node_gbit_s: Network of one machine, Gbit/s.
        node_gpus: GPUs in one machine.
        store_gbit_s: What the object store gives all machines together, Gbit/s.
        store_puts_s: Objects that can be written a second under one prefix.
        ledger_ms: Ledger's cost for a video where it was not measured.
        core_hour: Price of a CPU core for an hour.
        gpu_hour: Price of a GPU for an hour, without its cores.
        gb_month: Price of keeping a GB for a month.
        gb_out: Price of a GB that leaves the place where it lies.
        puts_1000: Price of writing 1000 objects.
    """

    width: float = 1280
    height: float = 720
    fps: float = 30
    mbit_s: float = 2.5
    minutes: float = 10
    spread: float = 1.3
    gpu_tflops_bf16: float = 100
    gpu_tflops_fp32: float = 40
    gpu_pairs_s: float = 400
    gpu_frames_s: float = 0
    host_ms: float = 1
    flow_image_kb: float = 20
    node_gbit_s: float = 10
    node_gpus: float = 8
    store_gbit_s: float = 100
    store_puts_s: float = 3500
    ledger_ms: float = 5
    core_hour: float = 0.04
    gpu_hour: float = 2
    gb_month: float = 0.02
    gb_out: float = 0.05
    puts_1000: float = 0.005

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Assumptions:
        """Return the assumptions with what the environment replaces.

        Raises:
            ConfigError: For a value that is no number, is negative, or is zero where that means nothing.
        """
        given = {
            f.name: environment[PREFIX + f.name.upper()] for f in fields(cls) if PREFIX + f.name.upper() in environment
        }
        return replace(cls(), **{name: _number(PREFIX + name.upper(), text) for name, text in given.items()})


MAY_BE_ZERO = {"spread", "gpu_frames_s", "host_ms", "core_hour", "gpu_hour", "gb_month", "gb_out", "puts_1000"}


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    zero = name.removeprefix(PREFIX).lower() in MAY_BE_ZERO
    if not (0 <= value < float("inf")) or (value == 0 and not zero):
        raise ConfigError(f"{name}={text}: not a number {'from' if zero else 'above'} 0; set it to one, or unset it")
    return value


def assumptions() -> Assumptions:
    """Return the assumptions under this process's environment."""
    return Assumptions.of(os.environ)


def measured(folder: Path | None = None) -> Rates:
    """Read the rates from a folder of result files.

    Raises:
        ConfigError: If a file or a row is not there.
    """
    results = folder or shipped("benchmarks") / "results"
    decode, flow, network = (_rows(results, name) for name in ("decode", "flow", "extract"))
    constant_s, px_s = _line(decode)
    return Rates(
        constant_s,
        px_s,
        {quality: 1 / (_value(flow, f"{quality} (", "pairs/s/core") * FLOW_PX) for quality in QUALITIES},
        {(s, p): 1 / _value(network, f"{s}, {p}, 1 core (", "snippets/s") for s in STREAMS for p in PRECISIONS},
        {s: float(re.findall(r"([\d.]+) GFLOP", _name(network, f"{s}, bf16, 1 core,"))[0]) for s in STREAMS},
        {p: (_value(network, f"whole pass, {p}, ", "x real time"), _cores(network)) for p in PRECISIONS},
        _value(_rows(results, "memory"), "peak memory, ", "MiB") / 1024,
        _ledger_s(results),
    )


Rows = list[dict[str, object]]


def _rows(folder: Path, benchmark: str) -> Rows:
    """Return a benchmark's rows, each with its machine."""
    found = sorted(folder.glob(f"{benchmark}-*.json"))
    if not found:
        raise ConfigError(f"{folder}: no results of '{benchmark}'; run 'tal bench {benchmark} --json'")
    told = json.loads(found[0].read_text(encoding="utf-8"))
    return [{**row, "machine": told["machine"]} for row in told["rows"]]


def _row(rows: Rows, start: str, unit: str) -> dict[str, object]:
    for row in rows:
        if str(row["name"]).startswith(start) and (not unit or row["unit"] == unit):
            return row
    raise ConfigError(f"benchmarks/results: no row '{start}...' in {unit or 'any unit'}; run that benchmark again")


def _value(rows: Rows, start: str, unit: str) -> float:
    return float(str(_row(rows, start, unit)["ours"]))


def _name(rows: Rows, start: str) -> str:
    return str(_row(rows, start, "")["name"])


def _cores(rows: Rows) -> int:
    return int(re.findall(r"(\d+) cores", str(rows[0]["machine"]))[0])


def _line(rows: Rows) -> tuple[float, float]:
    """Return core-seconds per frame and per px: the line through both sizes, with all cores charged."""
    small_s, large_s = (
        _cores(rows) / _value(rows, f"{size}, short side 256", "frames/s") for size in ("320x240", "1280x720")
    )
    px_s = (large_s - small_s) / (LARGE_PX - SMALL_PX)
    return small_s - px_s * SMALL_PX, px_s


def _ledger_s(folder: Path) -> float | None:
    """Return what the ledger costs for a video in seconds, if it was measured."""
    if not list(folder.glob("faults-*.json")):
        return None
    each = [row for row in _rows(folder, "faults") if str(row["name"]).endswith("videos: overhead each")]
    return float(str(each[0]["ours"])) / 1000 if each else None
