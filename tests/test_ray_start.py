"""How a Ray cluster starts that is busy, late or interrupted; with a stand-in for Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from patience import NAPS

from tal.errors import BackendError
from tal.pipeline import ray_cluster, ray_start
from tal.pipeline.ray_cluster import RayOptions, connected
from tal.pipeline.ray_start import START_TRIES


class Ray:
    """Starts as it is told.

    Attributes:
        starts: What happens in each call of `init`, the last for all that follow.
        given: The addresses that were asked for.
    """

    exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))

    def __init__(self, *starts: Callable[[], object]) -> None:
        self.starts, self.given = list(starts), list[str]()

    def init(self, address: str, **_: Any) -> None:
        self.given.append(address)
        (self.starts.pop(0) if len(self.starts) > 1 else self.starts[0])()

    def is_initialized(self) -> bool:
        return False

    def shutdown(self) -> None:
        pass


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ray], Ray]:
    """Put a stand-in into place."""
    monkeypatch.setattr(ray_cluster, "_QUIET", {})
    monkeypatch.setattr(ray_start, "_PATIENT", {})

    def put(ray: Ray) -> Ray:
        monkeypatch.setattr(ray_cluster, "_imported", lambda: ray)
        return ray

    return put


@pytest.fixture
def parts() -> Iterator[list[subprocess.Popen[bytes]]]:
    """What a start left behind."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for one in started:
        one.kill()
        one.wait()


def late(parts: list[subprocess.Popen[bytes]]) -> Callable[[], None]:
    """Start a part, and give up as Ray does; meanwhile somebody else starts a process, too."""

    def start() -> None:
        command = [sys.executable, "-c", f"import time\n{NAPS}"]
        parts.extend(subprocess.Popen([*command, name]) for name in ("site-packages/ray/core/part", "other"))
        raise Exception("The current node timed out during startup.")

    return start


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's children")
def test_a_start_that_is_late_is_tried_again_and_its_parts_are_ended(
    use: Callable[[Ray], Ray], parts: list[subprocess.Popen[bytes]]
) -> None:
    ray = use(Ray(late(parts), lambda: None))
    with connected(RayOptions()) as found:
        assert found is ray and len(ray.given) == 2
        assert parts[0].wait() == -signal.SIGKILL and parts[1].poll() is None


@pytest.mark.parametrize(("address", "where", "n"), [("", "on this machine", START_TRIES), ("h:1", "at h:1", 1)])
def test_one_that_stays_late_is_told_in_one_line(
    use: Callable[[Ray], Ray], parts: list[subprocess.Popen[bytes]], address: str, where: str, n: int
) -> None:
    ray = use(Ray(late(parts)))
    with pytest.raises(BackendError) as error, connected(RayOptions(address)):
        pass
    said = "in the time that it gives itself; run it again with less beside it"
    assert str(error.value) == f"Ray did not start {where} {said}" and len(ray.given) == n


def test_only_what_is_started_here_is_told_to_be_patient(
    use: Callable[[Ray], Ray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_start, "_PATIENT", {"RAY_ONE": "1", "RAY_TWO": "2"})
    monkeypatch.setenv("RAY_TWO", "of the user")
    told: list[tuple[str | None, str | None]] = []
    use(Ray(lambda: told.append((os.environ.get("RAY_ONE"), os.environ.get("RAY_TWO")))))
    for address in ("", "h:1"):
        with connected(RayOptions(address)):
            assert "RAY_ONE" not in os.environ and os.environ["RAY_TWO"] == "of the user"
    assert told == [("1", "of the user"), (None, "of the user")]


def test_what_is_wrong_is_not_tried_again(use: Callable[[Ray], Ray]) -> None:
    def fail() -> None:
        raise Ray.exceptions.RayError("no room\nfor more")

    ray = use(Ray(fail))
    with (
        pytest.raises(BackendError, match=r"^no Ray cluster on this machine: no room; start one with") as error,
        connected(RayOptions()),
    ):
        pass
    assert "\n" not in str(error.value) and len(ray.given) == 1


def test_other_errors_stay_what_they_are(use: Callable[[Ray], Ray]) -> None:
    use(Ray(lambda: 1 / 0))
    with pytest.raises(ZeroDivisionError), connected(RayOptions()):
        pass


def test_a_signal_during_the_start_is_ours(use: Callable[[Ray], Ray]) -> None:
    def told() -> None:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        signal.raise_signal(signal.SIGTERM)

    def end(*_: object) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, end)
    try:
        use(Ray(told))
        with pytest.raises(SystemExit) as leaving, connected(RayOptions()):
            pass
        assert leaving.value.code == 143 and signal.getsignal(signal.SIGTERM) is end
    finally:
        signal.signal(signal.SIGTERM, before)
