"""Compiled kernels on disk: what two processes keep at the same moment is not mixed up."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="needs Numba")

from extract.flow import _cpu_compile

TURN_S = 1.0
"""For how long one waits for the other; behind a lock the other cannot come."""
WORST = {
    "a _save_index": "b _load_index",
    "b _save_index": "a _save_index",
    "a _save_data": "b _save_data",
}
"""What happens only after what the other does: both have seen an empty index then, and each writes over the other."""


def last(values: Any) -> Any:
    return values[-1]


@pytest.fixture(autouse=True)
def _kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cpu_compile, "kept_in", lambda: tmp_path)


def file_of(kernel: Any) -> Any:
    """Return where Numba keeps a kernel."""
    return kernel._cache._cache_file


def in_turn(file: Any, name: str, happened: dict[str, threading.Event]) -> None:
    """Let what is done to a file happen in the worst order."""

    def after(step: str, act: Any) -> Any:
        def acting(*given: Any) -> Any:
            if before := WORST.get(f"{name} {step}"):
                happened[before].wait(TURN_S)
            done = act(*given)
            happened[f"{name} {step}"].set()
            return done

        return acting

    for step in ("_load_index", "_save_index", "_save_data"):
        happened[f"{name} {step}"] = threading.Event()
        setattr(file, step, after(step, getattr(file, step)))


def test_kernels_that_two_processes_keep_at_once_are_not_mixed_up() -> None:
    happened: dict[str, threading.Event] = {}
    files = {name: file_of(_cpu_compile.kernel(last)) for name in "ab"}
    for name, file in files.items():
        in_turn(file, name, happened)
    threads = [threading.Thread(target=file.save, args=(name, f"code of {name}")) for name, file in files.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    later = file_of(_cpu_compile.kernel(last))
    assert [later.load(name) for name in "ab"] == ["code of a", "code of b"]


def test_a_kernel_is_found_again_for_each_type() -> None:
    first: Any = _cpu_compile.kernel(last)
    given = (np.array([1, 2], np.int16), np.array([0.25, 0.5]))
    assert [first(values) for values in given] == [2, 0.5]
    later: Any = _cpu_compile.kernel(last)
    assert [later(values) for values in given] == [2, 0.5]
    assert (sum(first.stats.cache_hits.values()), sum(later.stats.cache_hits.values())) == (0, 2)


def test_without_locks_kernels_are_kept_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    file = file_of(_cpu_compile.kernel(last))
    file.save("a", "code of a")
    assert file.load("a") == "code of a"
