"""A Ray cluster of several raylets on this machine, one for all tests, and engines in its workers that break."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HOOK = "ray_made.install_faulty"
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}


class Raylets:
    """A head without cores and nodes of one core each."""

    def __init__(self, n_nodes: int) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": 80 << 20, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(n_nodes):
            self.cluster.add_node(**NODE)

    def kill(self, node_id: str) -> None:
        """End a node as if its plug were pulled."""
        (node,) = (one for one in self.cluster.worker_nodes if one.node_id == node_id)
        self.cluster.remove_node(node, allow_graceful=False)

    def complete(self, n_nodes: int) -> None:
        """Start nodes in place of those that were killed."""
        for _ in range(n_nodes - len(self.cluster.worker_nodes)):
            self.cluster.add_node(**NODE)

    @contextmanager
    def joined(self, **env: Any) -> Iterator[Any]:
        """Connect to the cluster as one job."""
        import ray

        ray.init(self.cluster.address, log_to_driver=False, logging_level=logging.CRITICAL, runtime_env=env)
        try:
            yield ray
        finally:
            ray.shutdown()


def faulty_env() -> dict[str, Any]:
    """Return the environment of workers whose engines do what the videos' texts say."""
    root = Path(__file__).parents[1]
    path = os.pathsep.join([str(root / "tests"), str(root)])
    return {"worker_process_setup_hook": HOOK, "env_vars": {"PYTHONPATH": path}}


def install_faulty() -> None:
    """Put the engines into place in a worker."""
    import faulty

    from tal.pipeline import ray_orders

    engines = faulty.engines()
    engines.install(setattr)
    ray_orders.lend_extractor = engines.lend


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
