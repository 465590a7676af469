"""What an hour of video needs, which resource runs out first, and what it costs.

All demands are per hour of video. Decoding reads every frame of the file; flow and networks see frames at the rate of
the settings. Work grows linearly with pixels and with snippet length, which is how I3D's convolutions and TV-L1's
iterations grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from _scale_rates import FLOW_PX, LARGE_PX, SNIPPET_FRAMES, SNIPPET_PX, Assumptions, Rates

from tal import config
from tal.settings import ExtractSettings

HEADER_BYTES = 3000
"""What a shard holds beside its features: names, settings, digests, the decoder's report."""
N_CROPS = {"centre": 1, "ten": 10}
GPU = "GPU"
CPU_DECODE, GPU_DECODE = "decoding (CPU)", "decoding (GPU)"


@dataclass(frozen=True)
class Choice:
    """How features are made.

    Attributes:
        name: What the tables call it.
        sets: Settings that differ from the default.
        preset: A shipped convention.
        gpu: Whether flow and networks run on GPUs.
    """

    name: str
    sets: tuple[str, ...] = ()
    preset: str | None = None
    gpu: bool = False

    @property
    def settings(self) -> ExtractSettings:
        """The settings as `tal extract` would use them."""
        return config.load(sets=[f"extract.{one}" for one in self.sets], preset=self.preset).extract


CHOICES = (
    Choice("default: both streams, fp32"),
    Choice("bf16", ("precision=bf16",)),
    Choice("bf16, flow `fast`", ("precision=bf16", "flow.quality=fast")),
    Choice("flow `exact`", ("flow.quality=exact",)),
    Choice("RGB only", ("streams=[rgb]",)),
    Choice("RGB only, bf16", ("streams=[rgb]", "precision=bf16")),
    Choice("`--preset stpn`", preset="stpn"),
    Choice("`--preset cmcs`", preset="cmcs"),
    Choice("`--preset deepmind`", preset="deepmind"),
)
TWO_STREAM, FAST_FLOW, RGB = CHOICES[1], CHOICES[2], CHOICES[5]


@dataclass(frozen=True)
class Demand:
    """What one hour of video needs.

    Attributes:
        core_s: Stage to core-seconds.
        gpu_s: Stage to GPU-seconds.
        in_gb: Videos read, GB.
        shard_gb: Features written, GB.
        flow_gb: Flow images, if they are kept, GB.
        n_videos: Videos in an hour.
    """

    core_s: Mapping[str, float]
    gpu_s: Mapping[str, float]
    in_gb: float
    shard_gb: float
    flow_gb: float
    n_videos: float = field(default=0.0)

    @property
    def cores(self) -> float:
        """Core-hours."""
        return sum(self.core_s.values()) / 3600

    @property
    def gpus(self) -> float:
        """GPU-hours."""
        return sum(self.gpu_s.values()) / 3600


def scaled_px(settings: ExtractSettings, width: float, height: float) -> float:
    """Return the size of a frame after scaling, px."""
    if settings.size is not None:
        return float(settings.size[0] * settings.size[1])
    short = settings.short_side
    return short * short * max(width, height) / min(width, height)


def snippet_work(settings: ExtractSettings, width: float, height: float) -> float:
    """Return the network's work for a snippet, in snippets of 16 frames of 224x224 px."""
    px = settings.crop**2 if settings.crop else scaled_px(settings, width, height)
    return settings.length / SNIPPET_FRAMES * px / SNIPPET_PX * N_CROPS[settings.crops]


def demand(choice: Choice, rates: Rates, a: Assumptions) -> Demand:
    """Return what an hour of video needs under a choice, with flow and networks on CPU cores or on GPUs."""
    s, per_hour = choice.settings, 3600.0
    n_frames = float(s.fps) * per_hour
    n_snippets = n_frames / s.stride * snippet_work(s, a.width, a.height)
    flow_px = n_frames * scaled_px(s, a.width, a.height) * ("flow" in s.streams)
    core_s, gpu_s = _decoding(choice, rates, a), dict[str, float]()
    if choice.gpu:
        relative = rates.flow_px_s[s.flow.quality] / rates.flow_px_s["default"]
        gpu_s["flow (GPU)"] = flow_px / FLOW_PX / a.gpu_pairs_s * relative
        tflops = a.gpu_tflops_bf16 if s.precision == "bf16" else a.gpu_tflops_fp32
        gpu_s["I3D (GPU)"] = n_snippets * sum(rates.network_gflop[one] for one in s.streams) / tflops / 1000
        core_s["beside the GPU (CPU)"] = n_frames * a.host_ms / 1000
    else:
        core_s["flow (CPU)"] = flow_px * rates.flow_px_s[s.flow.quality]
        core_s["I3D (CPU)"] = n_snippets * sum(rates.network_s[one, s.precision] for one in s.streams)
    shard_gb = n_frames / s.stride * (4096 * len(s.streams) + 4 * ("flow" in s.streams)) / 1e9
    n_videos = 60 / a.minutes
    flow_gb = flow_px / FLOW_PX * a.flow_image_kb / 1e6
    return Demand(core_s, gpu_s, a.mbit_s * 3600 / 8000, shard_gb + n_videos * HEADER_BYTES / 1e9, flow_gb, n_videos)


def _decoding(choice: Choice, rates: Rates, a: Assumptions) -> dict[str, float]:
    """Return the core-seconds of decoding an hour; a GPU's decoder works beside its other units."""
    n_frames, px = a.fps * 3600, a.width * a.height
    if choice.gpu and a.gpu_frames_s:
        return {}
    return {CPU_DECODE: n_frames * (rates.decode_s + rates.decode_px_s * px)}


@dataclass(frozen=True)
class Fleet:
    """Machines.

    Attributes:
        n_cores: CPU cores of all of them.
        n_gpus: GPUs of all of them.
        n_nodes: Machines.
        n_parts: Ledgers that are written at the same time, and prefixes: parts of a job array.
    """

    n_cores: float
    n_gpus: float = 0
    n_nodes: float = 1
    n_parts: float = 1


def gpu_fleet(n_gpus: int, cores_per_gpu: int, a: Assumptions) -> Fleet:
    """Return machines with GPUs, as many parts as GPUs."""
    return Fleet(n_gpus * cores_per_gpu, n_gpus, max(1.0, n_gpus / a.node_gpus), n_gpus)


def limits(need: Demand, fleet: Fleet, rates: Rates, a: Assumptions, saves_flow: bool = False) -> dict[str, float]:
    """Return for each resource the hours of video an hour that it allows; the least of them is the speed.

    Stages that share cores, or GPUs, share a limit; it bears the name of the stage that takes most of it.
    """
    ledger_s = a.ledger_ms / 1000 if rates.ledger_s is None else rates.ledger_s
    out_gb = need.shard_gb + (need.flow_gb if saves_flow else 0)
    found = {
        _most(need.core_s): _allowed(fleet.n_cores, need.cores),
        "network of the machines": _allowed(fleet.n_nodes * a.node_gbit_s * 450, need.in_gb + out_gb),
        "object store": _allowed(a.store_gbit_s * 450, need.in_gb + out_gb),
        "writes of objects": _allowed(fleet.n_parts * a.store_puts_s * 3600, need.n_videos),
        "ledgers": _allowed(fleet.n_parts * 3600 / ledger_s, need.n_videos),
    }
    if need.gpus:
        found[_most(need.gpu_s)] = _allowed(fleet.n_gpus, need.gpus)
    if need.gpus and a.gpu_frames_s:
        frames_s = fleet.n_gpus * a.gpu_frames_s * LARGE_PX / (a.width * a.height)
        found[GPU_DECODE] = frames_s / a.fps
    return found


def _most(seconds: Mapping[str, float]) -> str:
    return max(seconds, key=lambda name: seconds[name]) if seconds else "CPU"


def _allowed(have: float, need: float) -> float:
    return have / need if need else float("inf")


def bottleneck(found: Mapping[str, float]) -> tuple[str, float]:
    """Return the resource that runs out first, and the speed that it leaves, hours of video an hour."""
    name = min(found, key=lambda one: found[one])
    return name, found[name]


def costs(need: Demand, hours: float, a: Assumptions, months: float = 1) -> dict[str, float]:
    """Return what `hours` of video cost, by what is paid for; nothing for machines that wait."""
    return {
        "CPU": hours * need.cores * a.core_hour,
        "GPU": hours * need.gpus * a.gpu_hour,
        "reading the videos from elsewhere": hours * need.in_gb * a.gb_out,
        "writing objects": hours * need.n_videos / 1000 * a.puts_1000,
        "keeping features": hours * need.shard_gb * a.gb_month * months,
        "keeping flow images": hours * need.flow_gb * a.gb_month * months,
    }


def memory_gib(choice: Choice, rates: Rates, a: Assumptions, batch: int = 4) -> float:
    """Estimate a process's peak on a CPU: the measured one, and what is larger with frames of full size.

    Two blocks of 33 scaled frames with their flow (RGB 3 bytes a px, gray 1, flow 8), and twice a batch of snippets
    ahead, each in RGB bytes and flow in float32, once more as the network's input.
    """
    s = choice.settings
    block = 2 * 33 * scaled_px(s, a.width, a.height) * (3 + (9 if "flow" in s.streams else 0))
    px = s.crop**2 if s.crop else scaled_px(s, a.width, a.height)
    snippets = 3 * batch * s.length * px * (3 + (8 if "flow" in s.streams else 0))
    return rates.memory_gib + (block + snippets) / 2**30


def pass_check(rates: Rates) -> dict[str, tuple[float, float]]:
    """Return for each precision the speed of a whole pass as measured, and as the stages' rates predict it.

    Both in times real time: 340x256 px, 25 frames per second, both streams, all cores. The stages were measured one by
    one, on one core; the pass was measured by itself.
    """
    found, a = {}, Assumptions(width=340, height=256, fps=25)
    for precision, (speed, n_cores) in rates.passes.items():
        need = demand(Choice(precision, (f"precision={precision}",)), rates, a)
        found[precision] = speed, n_cores / need.cores
    return found
