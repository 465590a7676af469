"""What a worker of the Ray engine is told: its orders, and the checks that come before any work."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import tal
from tal.cache import Cache
from tal.errors import BackendError, TalError, WeightsError
from tal.files import sha256_file, write_atomic
from tal.pipeline.context import Context
from tal.pipeline.engines import Recipe, lend_extractor, recipe_for, resolved
from tal.pipeline.ray_cluster import Share
from tal.pipeline.ray_stores import check_outlet, check_sources, placed, remote_of
from tal.pipeline.sources import open_sources
from tal.progress import Silent
from tal.settings import ExtractSettings, Settings
from tal.storage import Remote


@dataclass(frozen=True)
class Orders:
    """What a worker must know, as plain values.

    Attributes:
        settings: All settings; of extraction, those that are really used.
        sha256: Stream to the digest of its weights.
        weights: Stream to the file that holds them on the driver's machine.
        out: Folder or URL of shards.
        cache: Of the driver.
        host: The driver's machine.
        token: A file that the driver has put into the folder of shards, or the text of an object that lies there.
        probes: Some of the videos that are in a store, for a worker to see whether it reaches them.
        force: Whether shards that are there are made anew.
        n_cpus: Cores of this worker.
        device: Device of this worker.
        version: The driver's version of tal.
    """

    settings: Mapping[str, Any]
    sha256: Mapping[str, str]
    weights: Mapping[str, str]
    out: str
    cache: str
    host: str
    token: str
    probes: tuple[Remote, ...] = ()
    force: bool = False
    n_cpus: int = 0
    device: str = "cpu"
    version: str = tal.__version__

    def sized(self, n_cpus: int, n_gpus: float) -> Orders:
        """Return the orders of a worker with so many cores and GPUs; Ray says which GPU is its own."""
        return replace(self, n_cpus=n_cpus, device="cuda" if n_gpus else "cpu")


class Parcel(NamedTuple):
    """A video on its way to a worker.

    Attributes:
        path: The driver's.
        key: Of its shard; empty where only fetching the video tells.
        sha256: A local file's digest, which holds where size and time are the same.
        size: In bytes.
        mtime_ns: When it was written.
        remote: The object in a store that it is, if it is one.
    """

    path: str
    key: str
    sha256: str = ""
    size: int = -1
    mtime_ns: int = -1
    remote: Remote | None = None


def parcel_of(path: Path, key: str, cache: Cache) -> Parcel:
    """Return a video as it is handed out; one that is gone, too, which its worker will tell."""
    if remote := remote_of(cache, path):
        return Parcel(str(path), key, remote=remote)
    try:
        look = path.stat()
        return Parcel(str(path), key, cache.sha256(path), look.st_size, look.st_mtime_ns)
    except OSError:
        return Parcel(str(path), key)


def own_settings(orders: Orders) -> Settings:
    """Return the settings for this worker: its cores, and the device that Ray gave it."""
    settings = Settings.model_validate(orders.settings)
    own = {"workers": orders.n_cpus, "device": orders.device, "isolate": "none"}
    return settings.model_copy(update={"runtime": settings.runtime.model_copy(update=own)})


def check(orders: Orders) -> None:
    """Refuse to work where the work would not be seen, or be another.

    Raises:
        BackendError: If this node differs from the driver's, or does not see videos or the place for shards.
    """
    here, runtime = platform.node(), Settings.model_validate(orders.settings).runtime
    if orders.version != tal.__version__:
        raise BackendError(f"{here}: tal {tal.__version__} there, {orders.version} here; install the same version")
    try:
        check_outlet(orders.out, orders.token, runtime)
        check_sources(orders.probes, runtime)
    except TalError as error:
        raise BackendError(f"{here}: {error}") from error


@contextmanager
def engines(orders: Orders, refs: Mapping[str, Any], ctx: Context) -> Iterator[tuple[Recipe, Any]]:
    """Open the engines on this worker's cores."""
    wanted = ExtractSettings.model_validate(orders.settings["extract"])
    if resolved(wanted, ctx.settings.runtime.device) != wanted:
        raise BackendError(f"{platform.node()}: has other engines than the driver's machine; name them by options")
    files = {stream: _weights(stream, orders, refs, ctx.cache.root) for stream in orders.weights}
    recipe = Recipe(wanted, files, orders.sha256)
    _use_cores(orders.n_cpus)
    with lend_extractor(recipe, ctx) as extractor:
        yield recipe, extractor


def _use_cores(n: int) -> None:
    import torch

    if n:
        torch.set_num_threads(n)


def _weights(stream: str, orders: Orders, refs: Mapping[str, Any], root: Path) -> Path:
    """Return the file of a stream's weights on this machine, fetched from the driver if need be."""
    named, wanted = Path(orders.weights[stream]), orders.sha256[stream]
    if named.is_file() and sha256_file(named) == wanted:
        return named
    kept = root / "ray" / wanted[:16] / named.name
    if not (kept.is_file() and sha256_file(kept) == wanted):
        import ray

        write_atomic(kept, ray.get(refs[stream]))
        if sha256_file(kept) != wanted:
            raise WeightsError(f"{kept}: arrived damaged; run it again")
    return kept


def recipe_on(ray: Any, share: Share, ctx: Context, videos: Sequence[Path]) -> Recipe:
    """Return what `recipe_for` decides on another node, with the weights brought here.

    Raises:
        TalError: What `recipe_for` raises there.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(share.node, soft=False)
    task = ray.remote(_decide).options(num_cpus=share.n_cpus, num_gpus=share.n_gpus, scheduling_strategy=there)
    named = [(str(path), remote_of(ctx.cache, path)) for path in videos]
    found = ray.get(task.remote(ctx.settings.model_dump(mode="json"), named))
    if isinstance(found, TalError):
        raise found
    chosen, sha256, contents = found
    files = {stream: ctx.cache.root / "ray" / sha256[stream][:16] / name for stream, (name, _) in contents.items()}
    for stream, path in files.items():
        write_atomic(path, contents[stream][1])
    return Recipe(ExtractSettings.model_validate(chosen), files, sha256)


def _decide(settings: Mapping[str, Any], videos: Sequence[tuple[str, Remote | None]]) -> Any:
    ctx = Context(Settings.model_validate(settings), Cache(), Silent())
    try:
        with open_sources([Path(remote.url) for _, remote in videos if remote][:1], ctx) as (sources, staged):
            found = recipe_for(staged, [placed(path, remote, sources) for path, remote in videos])
    except TalError as error:
        return error
    contents = {stream: (path.name, path.read_bytes()) for stream, path in found.weights.items()}
    return found.settings.model_dump(mode="json"), dict(found.sha256), contents
