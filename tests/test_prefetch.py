"""Working ahead on a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from chance import new_threads
from patience import WAIT_S

from extract.prefetch import prefetch
from tal.errors import VideoError


def worker_threads() -> list[threading.Thread]:
    return new_threads("prefetch")


@pytest.mark.parametrize("depth", [1, 3, 50])
def test_items_come_whole_and_in_order(depth: int) -> None:
    assert list(prefetch(range(20), depth)) == list(range(20))
    assert list(prefetch([None, 0, ""], depth)) == [None, 0, ""]
    assert list(prefetch([], depth)) == []
    assert worker_threads() == []


def test_items_are_made_on_one_other_thread() -> None:
    def names() -> Iterator[str]:
        for _ in range(10):
            yield threading.current_thread().name

    (name,) = set(prefetch(names(), 4))
    assert name != threading.current_thread().name


def test_work_goes_on_ahead_but_never_further_than_depth() -> None:
    made = threading.Semaphore(0)
    n_made = 0

    def items() -> Iterator[int]:
        nonlocal n_made
        for n_made in range(1, 101):
            made.release()
            yield n_made

    ahead = prefetch(items(), depth=5)
    for n_taken, _ in zip(range(1, 20), ahead, strict=False):
        assert n_made <= n_taken + 5
    n_taken = 19
    for _ in range(n_taken + 5):
        assert made.acquire(timeout=WAIT_S)  # without another item being asked for
    assert n_made == n_taken + 5


def test_errors_come_in_their_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise VideoError("a.mp4: cannot be decoded")

    ahead = prefetch(items(), depth=10)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(VideoError, match=r"^a\.mp4: cannot be decoded$"):
        next(ahead)
    assert list(ahead) == []
    assert worker_threads() == []


def test_closing_stops_the_thread_and_closes_the_source() -> None:
    events = []

    def items() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            events.append(threading.current_thread().name)

    ahead = prefetch(items(), depth=3)
    assert next(ahead) == 0
    assert len(worker_threads()) == 1
    ahead.close()  # type: ignore[attr-defined]
    assert worker_threads() == []
    assert len(events) == 1
    assert next(ahead, "ended") == "ended"


def test_leaving_a_loop_stops_the_thread() -> None:
    for item in prefetch(iter(int, 1), depth=3):
        assert item == 0
        break
    assert worker_threads() == []


def test_depth_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^depth must be at least 1, not 0$"):
        prefetch([1], 0)
