"""Weights of backbones: files of PyTorch's and PyTorchVideo's model zoos, and random numbers.

Tensors keep the names that the network's own library gives them. What is not floating point (BatchNorm's counters, the
index tables of shifted windows) follows from the architecture and is never taken from a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253  (this module is loaded with the first network)
from torch import Tensor, nn  # noqa: TID253

from extract import weights_files
from extract.weights_files import is_plain
from tal.errors import WeightsError

_MODEL_STATE = "model_state"  # where PyTorchVideo's files keep the tensors
_POSITION_STD = 0.02  # of class tokens, as the transformers' authors begin
_NORMS = (nn.BatchNorm3d, nn.LayerNorm)


def read(name: str, network: nn.Module, path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file as the state dict of `network`, float32.

    Formats: PyTorch, with the tensors at the top or under ``model_state`` or ``state_dict``, and safetensors. Pickles
    are read with ``weights_only``: nothing in them is run.

    Args:
        name: The network's name, for messages.
        network: Says which tensors are expected.
        path: The file.

    Raises:
        WeightsError: If the file cannot be read, or a tensor is missing, wrong or unknown; names the first.
    """
    values = weights_files.read(path)
    inner = values.get(_MODEL_STATE)
    values = inner if isinstance(inner, Mapping) else values
    own = network.state_dict()
    expected = {key: value for key, value in own.items() if value.is_floating_point()}
    for key, tensor in expected.items():
        if reason := _wrong(key, values.get(key), tuple(tensor.shape)):
            raise WeightsError(f"{path}: not {name} weights: {reason}")
    for key in values:
        if key not in own:
            raise WeightsError(f"{path}: not {name} weights: unknown tensor '{key}'")
    return {key: values[key].detach().float().contiguous() for key in expected}


def _wrong(key: str, value: Any, shape: tuple[int, ...]) -> str:
    """Say what is wrong with a tensor of a file; empty if nothing is."""
    if value is None:
        return f"no tensor '{key}'"
    if not is_plain(value):
        return f"'{key}' is not a tensor of floating-point numbers"
    if tuple(value.shape) != shape:
        return f"'{key}' has shape {tuple(value.shape)}, not {shape}"
    if not bool(torch.isfinite(value).all()):
        return f"'{key}' holds values that are not finite"
    return ""


def random_state(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """Return a state dict with He-normal weights; scales and variances are 1, biases and means 0.

    Convolutions that mix channels are centred, the first excepted, as in `extract.random_weights`. The numbers depend
    on (seed, position of the tensor) only, through NumPy's generator.
    """
    floats = {key: value for key, value in network.state_dict().items() if value.is_floating_point()}
    norms = {f"{name}." for name, module in network.named_modules() if isinstance(module, _NORMS)}
    return {
        key: _tensor(key, tuple(value.shape), key.rpartition(".")[0] + "." in norms, np.random.default_rng([seed, i]))
        for i, (key, value) in enumerate(floats.items())
    }


def _tensor(key: str, shape: tuple[int, ...], of_norm: bool, generator: np.random.Generator) -> Tensor:
    if of_norm and key.endswith((".weight", ".running_var")):
        return torch.ones(shape)
    if key.endswith((".bias", ".running_mean")):
        return torch.zeros(shape)
    n_in = int(np.prod(shape[1:]))
    spread = np.sqrt(2 / n_in) if len(shape) > 1 else _POSITION_STD  # He et al., ICCV 2015, eq. 10
    values = generator.standard_normal(shape, dtype=np.float32) * np.float32(spread)
    if len(shape) == 5 and shape[1] > 3:  # neither the first layer, of colours of either sign, nor of one channel each
        values -= values.mean(axis=(1, 2, 3, 4), keepdims=True, dtype=np.float64).astype(np.float32)
    return torch.from_numpy(values)
