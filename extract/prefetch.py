"""Work ahead on a thread, a bounded number of items: decoding goes on while flow is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar, cast

T = TypeVar("T")
_END: Final = object()


def prefetch(items: Iterable[T], depth: int = 16) -> Generator[T, None, None]:
    """Yield `items`, made up to `depth` ahead on one thread of their own.

    What `items` raises is raised here, in its place. Closing the iterator (or dropping it) stops the thread after the
    item it is at and closes `items`.

    Raises:
        ValueError: If `depth` is less than 1.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, not {depth}")
    return _prefetched(items, depth)


def _prefetched(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        ahead: deque[Future[object]] = deque(thread.submit(next, iterator, _END) for _ in range(depth))
        try:
            while (item := ahead.popleft().result()) is not _END:
                ahead.append(thread.submit(next, iterator, _END))
                yield cast(T, item)
        finally:
            for future in ahead:
                future.cancel()
            thread.submit(getattr(iterator, "close", lambda: None))
