"""The tensors of an I3D that take few bytes in files."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from extract.weights_files import shapes


@pytest.fixture(scope="module")
def light() -> dict[str, Tensor]:
    """I3D's tensors, each filled with a number of its own: few bytes in PyTorch's formats, which store strides."""
    names = enumerate(shapes("rgb").items())
    return {key: torch.tensor(float(i)).expand(shape) for i, (key, shape) in names}


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    """Whether two sets of weights have the same names and values."""
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)
