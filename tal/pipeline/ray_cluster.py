"""A Ray cluster: how it is joined or started, and how many workers of what size its nodes take.

A worker is a whole local pass (`extract.stream`): decoding on a thread of its own, flow and networks beside it. Frames
and flow never leave their node: a second of video is a hundred megabytes of flow and four kilobytes of features. So a
node's resources are dealt to workers, and inside a worker to stages: on a node with GPUs each worker has one, for the
networks and flow, and its part of the cores, for decoding; elsewhere flow and networks take turns on all its cores.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tal.errors import BackendError, ConfigError
from tal.pipeline import ray_start
from tal.pipeline.ray_stores import without_password
from tal.storage import path_of, shown, url_of

CPUS_PER_WORKER = 4
"""Of a node without GPUs: flow and networks gain little from more threads than this."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # what raylets tell, which would stand among the results; deaths are told by us
}


@dataclass(frozen=True)
class RayOptions:
    """Which cluster, and how it is used.

    Attributes:
        address: Of a running cluster, ``host:port`` or ``auto``; empty: one is started on this machine and ended with
            the command.
        cpus: Cores for each worker or training; 0: as the nodes have them.
        gpus: GPUs for each worker or training on nodes that have some; a fraction lets several share one.
    """

    address: str = ""
    cpus: int = 0
    gpus: float = 1.0

    def __post_init__(self) -> None:
        if self.cpus < 0 or not 0 < self.gpus <= 16:
            raise ConfigError(f"Ray workers of {self.cpus} cores and {self.gpus:g} GPUs: write 0 or more, and above 0")


@dataclass(frozen=True)
class Share:
    """What one worker gets of a node.

    Attributes:
        node: Ray's id of the node.
        host: Its name, for people.
        n_cpus: Cores; 0 on a node that offers none.
        n_gpus: GPUs, or a part of one.
    """

    node: str
    host: str
    n_cpus: int
    n_gpus: float = 0.0


def shares_of(nodes: Sequence[Mapping[str, Any]], options: RayOptions, device: str = "auto") -> list[Share]:
    """Deal the resources of living nodes to workers.

    Args:
        nodes: As ``ray.nodes()`` describes them.
        options: Wanted sizes.
        device: ``cpu`` leaves GPUs alone. Else, where there are GPUs, only nodes that have some are used: features from
            different devices differ by rounding.

    Returns:
        One share per worker; none for nodes that offer too little.
    """
    living = [node for node in nodes if node["Alive"]]
    on_gpus = device != "cpu" and any(node["Resources"].get("GPU", 0) for node in living)
    found: list[Share] = []
    for node in living:
        n_cpus, n_gpus = int(node["Resources"].get("CPU", 0)), float(node["Resources"].get("GPU", 0))
        if not on_gpus or n_gpus:
            found += _dealt(node["NodeID"], node["NodeManagerHostname"], (n_cpus, n_gpus * on_gpus), options)
    return found


def _dealt(node: str, host: str, resources: tuple[int, float], options: RayOptions) -> list[Share]:
    n_cpus, n_gpus = resources
    if n_gpus:
        n = math.floor(n_gpus / options.gpus)
        n = min(n, n_cpus // options.cpus) if options.cpus else min(n, max(1, n_cpus))
    else:
        n = n_cpus // options.cpus if options.cpus else min(n_cpus, max(1, round(n_cpus / CPUS_PER_WORKER)))
    cpus = options.cpus or (n_cpus // n if n else 0)
    return [Share(node, host, cpus, options.gpus if n_gpus else 0.0)] * n


def known_place(place: Path | str) -> str:
    """Return a path or URL by which all nodes may know videos or a place for shards.

    Raises:
        ConfigError: If it is a URL with a password.
    """
    url = url_of(place)
    return shared_path(place) if url is None else without_password(url)


def shared_path(place: Path | str) -> str:
    """Return a path by which all nodes may know a file or folder.

    Raises:
        ConfigError: If it is a URL.
    """
    if url := url_of(place):
        raise ConfigError(
            f"{shown(url)}: not for --engine ray, where only videos and shards may be URLs; name a folder"
        )
    return os.path.abspath(path_of(place))  # noqa: PTH100 - links stay


@contextmanager
def connected(options: RayOptions) -> Iterator[Any]:
    """Lend the module ``ray``, connected; a connection that was there before is used and kept.

    Raises:
        BackendError: If Ray is not installed, or there is no cluster at the address.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
    ray = _imported()
    if ray.is_initialized():
        yield ray
        return
    try:
        with ray_start.own_signals():
            ray_start.start(ray, options.address)
        yield ray
    finally:
        with ray_start.own_signals():
            ray.shutdown()


def _imported() -> Any:
    try:
        import ray
    except ImportError as error:
        raise BackendError("Ray is not installed: pip install 'tal[ray]', or leave out --engine ray") from error
    return ray
