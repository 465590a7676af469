"""Which device computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tal.errors import BackendError

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> torch.device:
    """Return the device called `name`; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        BackendError: If the device is not known or not there.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BackendError(f"unknown device '{name}'; write auto, cpu, cuda, cuda:1 or mps") from error
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, True) or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise BackendError(f"device '{name}' is not on this machine; 'tal doctor' shows what is, --device cpu works")
    return device


def cpu_multiplies_bf16() -> bool:
    """Whether this CPU has AVX-512 BF16 or AMX, and PyTorch has oneDNN, which uses them."""
    import torch

    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return bool(torch._C._has_mkldnn) and any(getattr(torch.cpu, name, bool)() for name in asked)
