"""CUDA C compiled at run time with NVRTC, the compiler library that PyTorch's CUDA builds bring along.

PyTorch has this too (``torch.cuda._compile_kernel``, from 2.9), but not as public API, with double as its only floating
point argument, and it looks for an installed CUDA toolkit. Only what the flow kernels need is here: integers and
tensors as arguments, launches on PyTorch's current stream, so that they take their turn among PyTorch's own.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tal.errors import BackendError

if TYPE_CHECKING:
    from torch import Tensor

Grid = tuple[int, int, int]


def compile_source(source: str, architecture: str, options: Sequence[str] = ()) -> bytes:
    """Compile CUDA C to machine code; this needs no GPU.

    Args:
        source: Kernels declared ``extern "C"``.
        architecture: Such as ``sm_90``.
        options: More options of NVRTC.

    Raises:
        BackendError: If NVRTC is not there, does not know the architecture or refuses the source.
    """
    nvrtc = _nvrtc()
    program = ctypes.c_void_p()
    _check(nvrtc, nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"flow.cu", 0, None, None))
    try:
        given = [f"--gpu-architecture={architecture}".encode(), *(option.encode() for option in options)]
        if nvrtc.nvrtcCompileProgram(program, len(given), (ctypes.c_char_p * len(given))(*given)):
            log = _read(nvrtc, program, "ProgramLog").decode(errors="replace")
            raise BackendError(f"NVRTC refuses the flow kernels for {architecture}: {' '.join(log.split())[:300]}")
        return _read(nvrtc, program, "CUBIN")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _read(nvrtc: Any, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}")(program, buffer))
    return buffer.raw


def _check(nvrtc: Any, status: int) -> None:
    if status:
        nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
        raise BackendError(f"NVRTC failed: {nvrtc.nvrtcGetErrorString(status).decode()}")


@lru_cache(maxsize=1)
def _nvrtc() -> Any:
    """Load the library; pip's wheels have it beside PyTorch, conda and CUDA toolkits where the loader looks."""
    import torch

    if torch.version.cuda is None:
        raise BackendError("this PyTorch has no CUDA, so NVRTC is not there")
    major = torch.version.cuda.partition(".")[0]
    plain = [f"nvrtc64_{major}0_0.dll"] if sys.platform == "win32" else [f"libnvrtc.so.{major}", "libnvrtc.so"]
    root = Path(torch.__file__).parent
    beside = [*root.parent.glob(f"nvidia/*/lib/libnvrtc.so.{major}"), *(root / "lib").glob(plain[0])]
    for name in [*map(str, beside), *plain]:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise BackendError(f"NVRTC of CUDA {major} is not there; reinstall PyTorch with its CUDA packages")


class Module:
    """Kernels loaded on the current device (``torch.cuda.device``).

    Attributes:
        n_multiprocessors: Of the device.
    """

    def __init__(self, cubin: bytes) -> None:
        import torch

        self.n_multiprocessors: int = torch.cuda.get_device_properties().multi_processor_count
        self._driver = _driver()
        self._module = ctypes.c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(self._module), cubin)
        self._functions: dict[str, ctypes.c_void_p] = {}

    def prepare(self, name: str, grid: Grid, n_threads: int, *arguments: Tensor | int) -> Callable[[], None]:
        """Return what starts a kernel on the stream that is current now, as often as it is called.

        Integers arrive as int, tensors as the address of their data; they live as long as what is returned.
        """
        import torch

        values = [ctypes.c_int(a) if isinstance(a, int) else ctypes.c_void_p(a.data_ptr()) for a in arguments]
        addresses = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        given = (self._function(name), *grid, n_threads, 1, 1, 0, stream, addresses, None)
        held = (values, arguments)

        def start() -> None:
            _ = held
            self._call("cuLaunchKernel", *given)

        return start

    def _function(self, name: str) -> ctypes.c_void_p:
        if name not in self._functions:
            function = ctypes.c_void_p()
            self._call("cuModuleGetFunction", ctypes.byref(function), self._module, name.encode())
            self._functions[name] = function
        return self._functions[name]

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._driver, name)(*arguments)
        if status:
            text = ctypes.c_char_p()
            self._driver.cuGetErrorString(status, ctypes.byref(text))
            raise BackendError(f"{name} failed: {(text.value or b'unknown error').decode()}")


@lru_cache(maxsize=1)
def _driver() -> Any:
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError as error:
        raise BackendError("the NVIDIA driver's library cannot be loaded; check it with nvidia-smi") from error
