"""Memory that runs out with videos in work: told from other errors, and said in one line.

Python and NumPy raise `MemoryError`, PyTorch a `RuntimeError` of its own on a GPU and one with a known text on a CPU.
Where the system ends the process instead, only whoever watches it can tell (`tal.pipeline.supervising`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tal.errors import BackendError
from tal.ledger import Ledger

OUT_OF_MEMORY = 12
"""Exit status of a child whose memory ran out with videos in work."""
_CLASSES = ("OutOfMemoryError",)
_TEXTS = ("can't allocate memory", "not enough memory", "STATUS_ALLOC_FAILED", "out of memory")


class MemoryShortError(BackendError):
    """Memory ran out with videos in work; they are suspects now."""


def is_short(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on the machine or on a GPU."""
    if isinstance(error, MemoryError) or any(kind.__name__ in _CLASSES for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _TEXTS)


@contextmanager
def marked(ledger: Ledger, in_work: Collection[Path]) -> Iterator[None]:
    """Make suspects of the videos in work if memory runs out inside.

    Raises:
        MemoryShortError: In place of the error that says so.
        BackendError: The same where no video is in work: less of a video does not help.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_short(error):
            raise
        if not in_work:
            raise BackendError("memory ran out before the first video; give it more, or end other programs") from error
        ledger.doubt()
        n = f"{len(in_work)} video{'s' * (len(in_work) > 1)}"
        raise MemoryShortError(
            f"memory ran out with {n} in work; run it again with --set runtime.batch=1, or fewer processes at once"
        ) from error
