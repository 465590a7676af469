"""Arrays bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np


def equal(one: Any, other: Any) -> bool:
    """Whether two arrays have the same type, shape and bits."""
    same = (one.dtype, one.shape) == (other.dtype, other.shape)
    return bool(same and np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes())
