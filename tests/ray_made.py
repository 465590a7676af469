"""A Ray cluster of several raylets on this machine, one for all tests, and engines in its workers that break."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

HOOK = "ray_made.install_faulty"
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}


class Raylets:
    """A head without cores and nodes of one core each."""

    def __init__(self, n_nodes: int) -> None:
        from ray.cluster_utils import Cluster

        quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 200, "health_check_failure_threshold": 2}
        head = {"num_cpus": 0, "object_store_memory": 80 << 20, "include_dashboard": False, "_system_config": quick}
        self.cluster, self._n_nodes = Cluster(initialize_head=True, head_node_args=head), n_nodes
        self._complete()

    def kill(self, node_id: str) -> None:
        """End a node, its workers included, as if its plug were pulled; return when the cluster knows."""
        import ray

        (node,) = (one for one in self.cluster.worker_nodes if one.node_id == node_id)
        workers = [pid for one in node.all_processes["raylet"] for pid in _children(one.process.pid)]
        self.cluster.remove_node(node, allow_graceful=False)
        while any(one["Alive"] for one in ray.nodes() if one["NodeID"] == node_id):
            time.sleep(0.05)
        for pid in workers:  # which notice by themselves, but late
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _complete(self) -> None:
        """Start the nodes that are not there, all at once."""
        if missing := self._n_nodes - len(self.cluster.worker_nodes):
            for _ in range(missing):
                self.cluster.add_node(**NODE, wait=False)
            self.cluster.wait_for_nodes()

    @contextmanager
    def short_of_memory(self) -> Iterator[None]:
        """Have one more node for a while, whose raylet ends every worker for want of memory."""
        short = {"memory_usage_threshold": "0.0001", "memory_monitor_refresh_ms": "200", "min_memory_free_bytes": "-1"}
        self._complete()
        node = self.cluster.add_node(**NODE, env_vars={f"RAY_{name}": value for name, value in short.items()})
        try:
            yield
        finally:
            self.cluster.remove_node(node, allow_graceful=False)

    @contextmanager
    def joined(self, **env: Any) -> Iterator[Any]:
        """Connect to the cluster as one job; nodes that were killed before are there again."""
        import ray

        self._complete()
        ray.init(self.cluster.address, log_to_driver=False, logging_level=logging.CRITICAL, runtime_env=env)
        try:
            yield ray
        finally:
            ray.shutdown()


def _children(pid: int) -> list[int]:
    """Return the processes that a process has started; none where the system does not tell so."""
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [child for one in map(int, told.split()) for child in (one, *_children(one))]


def faulty_env(**env: str) -> dict[str, Any]:
    """Return the environment of workers whose engines do what the videos' texts say."""
    root = Path(__file__).parents[1]
    path = os.pathsep.join([str(root / "tests"), str(root)])
    return {"worker_process_setup_hook": HOOK, "env_vars": {"PYTHONPATH": path, **env}}


def install_faulty() -> None:
    """Put the engines into place in a worker, which dies, too, when it has sent the shard of a video named late."""
    import faulty

    from tal.pipeline import ray_orders
    from tal.pipeline.ray_stores import Sender

    engines = faulty.engines()
    engines.install(setattr)
    publish = Sender.publish

    def publish_and_die(self: Sender, shard: Path, source: Mapping[str, str] | None = None) -> None:
        publish(self, shard, source)
        if shard.stem == "late":
            os.kill(os.getpid(), signal.SIGKILL)

    ray_orders.lend_extractor = engines.lend
    ray_orders.resolved = lambda settings, device="auto": settings
    ray_orders._use_cores = lambda n: None  # there is nothing to compute
    Sender.publish = publish_and_die  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def raylets() -> Iterator[Raylets]:
    """The cluster; tests that need it skip where Ray is not installed."""
    pytest.importorskip("ray", reason="needs Ray: pip install 'tal[ray]'")
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    }
    before = {name: os.environ.get(name) for name in quiet}
    os.environ.update(quiet)
    made = Raylets(n_nodes=2)
    yield made
    made.cluster.shutdown()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
