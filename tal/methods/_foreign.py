"""Taking an authors' checkpoint apart: every tensor is asked for by name, and nothing may be left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor  # noqa: TID253

from tal.errors import ModelError


class Foreign:
    """What is left of a checkpoint.

    Args:
        state: Its tensors by name.
        problem: What a misfit means, such as "not a CMCS checkpoint of the authors' code".
        remedy: What to give instead.
        noun: What its parts are called.
    """

    def __init__(self, state: Mapping[str, Tensor], problem: str, remedy: str, noun: str = "tensor") -> None:
        self.left = dict(state)
        self._problem, self._remedy, self._noun = problem, remedy, noun

    def misfit(self, what: str) -> ModelError:
        """Return the error that says what does not fit."""
        return ModelError(f"{self._problem}: {what}; {self._remedy}")

    def take(self, name: str, n_axes: int | None = None, taps: int | None = None) -> Tensor:
        """Take a tensor.

        Args:
            name: Theirs.
            n_axes: Axes that it must have, if that is known.
            taps: Of a convolution's kernel (out, in, taps), how many it must have.

        Raises:
            ModelError: If it is not there or of another shape.
        """
        if name not in self.left:
            raise self.misfit(f"no {self._noun} '{name}'")
        value = self.left.pop(name)
        wanted = 3 if taps else n_axes
        if (wanted and value.dim() != wanted) or (taps and value.shape[2] != taps):
            raise self.misfit(f"{self._noun} '{name}' has shape {tuple(value.shape)}")
        return value

    @contextmanager
    def whole(self) -> Iterator[Foreign]:
        """Check at the end of the block that nothing is left.

        Raises:
            ModelError: If something is.
        """
        yield self
        if self.left:
            raise self.misfit(f"{self._noun} '{min(self.left)}' is one too many")
