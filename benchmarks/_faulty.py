"""Engines that cost nothing and break on demand: a video's text says what becomes of it.

As a script this is a child of `tal.pipeline.supervising` with these engines in place of the real ones. Words in a
video's text: ``segv`` and ``kill`` end the process by that signal, ``exit`` with status 3, ``fail`` is a video that
cannot be decoded, ``damaged`` one with a gap; ``once`` before such a word: only the first time. Memory runs out in
``memory`` for NumPy, in ``torch`` for PyTorch on the CPU, in ``cuda`` for PyTorch on a GPU, and in ``greedy`` where
several snippets go through the network at once. ``long`` takes until a file with the suffix ``.over`` is there.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from extract.reports import DecodeReport
from extract.stopwatch import Stopwatch
from tal.errors import TalError, VideoError
from tal.pipeline import extraction, filling, supervising, worker
from tal.pipeline.engines import Recipe
from tal.types import Features, SnippetGrid

IN_FLIGHT = 3
"""Videos that are in work at once, as with the real engines."""


class Faulty:
    """Stands for an `Extractor`.

    Args:
        batch: Snippets at once.
    """

    def __init__(self, batch: int = 1) -> None:
        self.watch, self._batch = Stopwatch(), batch

    def run(
        self, requests: Iterable[Any], on_snippets: Callable[[int], None]
    ) -> Iterator[tuple[Any, Features | TalError]]:
        """Yield what the videos' texts say."""
        rest = iter(requests)
        while ahead := list(islice(rest, IN_FLIGHT)):
            for request in ahead:
                yield request, outcome(request.path, dict(request.about), self._batch)
                on_snippets(1)


def outcome(path: Path, about: dict[str, Any], batch: int = 1) -> Features | TalError:
    """Return features, or an error, or do not return."""
    try:
        words = path.read_text().split()
    except OSError as error:
        problem = VideoError(f"{path}: cannot be read ({error.strerror})")
        problem.__cause__ = error
        return problem
    before = path.with_suffix(".before")
    if "once" in words:
        if before.exists():
            words = []
        before.touch()
    if "slow" in words:
        time.sleep(0.05)
    while "long" in words and not path.with_suffix(".over").exists():
        time.sleep(0.01)
    _run_short(words, batch)
    if "segv" in words:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "kill" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    if "exit" in words:
        os._exit(3)
    if "fail" in words:
        return VideoError(f"{path}: broken")
    gaps = ((0.25, 0.75),) if "damaged" in words else ()
    report = DecodeReport(25, 25, 0, 0, gaps, 25, 1.0)
    seed = int(about["sha256"][:8], 16)
    vectors = np.random.default_rng(seed).standard_normal((1, 16), np.float32)
    provenance = {"video": {**about, "decode": asdict(report)}}
    return Features({"rgb": vectors}, SnippetGrid(1, Fraction(25), 16, 16, 0), 1.0, None, provenance)


def _run_short(words: list[str], batch: int) -> None:
    """Have memory run out, as it is told by who asks for it."""
    if "memory" in words or ("greedy" in words and batch > 1):
        np.empty(1 << 55, np.uint8)  # more than any machine can address
    if "torch" in words or "cuda" in words:
        import torch

        if "cuda" in words:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        torch.empty(1 << 55, dtype=torch.uint8)


@contextmanager
def lend(recipe: Recipe, ctx: Any) -> Iterator[Faulty]:
    """Open the engines for a while."""
    yield Faulty(ctx.settings.runtime.batch)


def recipe(ctx: Any, videos: Any) -> Recipe:
    """Return a recipe that needs no weights."""
    settings = ctx.settings.extract.model_copy(update={"decoder": "pyav", "streams": ("rgb",)})
    return Recipe(settings, {}, {"rgb": "none"})


def command() -> list[str]:
    """Return the command of a child with these engines."""
    return [sys.executable, str(Path(__file__).resolve())]


def install(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Put these engines into place, here and in all children."""
    put(filling, "lend_extractor", lend)
    put(extraction, "recipe_for", recipe)
    put(supervising, "_command", command)


if __name__ == "__main__":
    install()
    worker.main()
