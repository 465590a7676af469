"""The start of Ray: on machines that are busy, too, and without losing a signal that comes meanwhile."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tal.errors import BackendError
from tal.pipeline import orphans

OBJECT_STORE_BYTES = 256 << 20
"""Of a cluster that is started here: it carries weights, never frames."""
START_TRIES = 3
"""How often a cluster is started on this machine: Ray gives up where its parts need half a minute."""
_PATIENT = {
    "RAY_prestart_worker_first_driver": "0",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_health_check_failure_threshold": "100",  # of a node that is one with its head, in 3 s each
}
"""For a cluster on this machine, which may be busy, slow or asleep for a while. What the environment says holds.

Ray starts a process for each core in advance and lets `ray.init` wait for all of them; one that takes longer than a
minute is given up, and `ray.init` then waits for ever. Ours are started when they are needed, and have ten minutes.
"""


def start(ray: Any, address: str) -> None:
    """Join the cluster at an address; without one, start a cluster on this machine.

    Raises:
        BackendError: If there is none, or it does not start.
    """
    where = f"at {address}" if address else "on this machine"
    for n_left in reversed(range(1 if address else START_TRIES)):
        before = orphans.children()
        try:
            _init(ray, address)
            return
        except _LateError as error:
            _end_parts(orphans.children() - before)
            if not n_left:
                raise BackendError(
                    f"Ray did not start {where} in the time that it gives itself; run it again with less beside it"
                ) from error
        except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            line = str(error).strip().partition("\n")[0]
            raise BackendError(
                f"no Ray cluster {where}: {line}; start one with 'ray start --head', or leave out --address"
            ) from error


def _init(ray: Any, address: str) -> None:
    own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES, "num_cpus": os.cpu_count()}
    with _Late(), _environment({} if address else _PATIENT):
        ray.init(
            address or "local",
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            namespace="tal",
            **({} if address else own),
        )


def _end_parts(started: Iterable[int]) -> None:
    """End what Ray left of a start; other threads may have started processes meanwhile, which stay."""
    for pid in started:
        with suppress(OSError):
            if b"/ray/" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Have some variables for a while, where they are not set."""
    new = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


class _LateError(Exception):
    """Ray gave up waiting for its own parts."""


class _Late:
    """Gives a class to what has none: Ray raises a bare `Exception` when its start takes too long."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object) -> None:
        if kind is Exception or (kind is not None and issubclass(kind, TimeoutError)):
            raise _LateError(str(error)) from error


@contextmanager
def own_signals() -> Iterator[None]:
    """Keep our handler of SIGTERM, in place of which Ray puts its own; a signal that came meanwhile is ours, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:  # Ray's handler ends with a status of its own
        if signal.getsignal(signal.SIGTERM) is not before and callable(before):
            before(signal.SIGTERM, None)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
