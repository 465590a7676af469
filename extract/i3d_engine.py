"""I3D for extraction: a loaded network made fast, in the precision that the device computes best.

BatchNorm is folded into the convolutions, maps are channels-last, the parallel 1x1x1 convolutions of a block are one,
and on the CPU oneDNN works on weights it has laid out once. `extract.i3d` remains the definition: in float32 the
features agree with it to rounding; in bf16 weights and maps are rounded to 8 bits of mantissa and sums stay float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tal.devices import cpu_multiplies_bf16
from tal.errors import BackendError, ConfigError, WeightsError, suggest
from tal.types import FloatArray

if TYPE_CHECKING:
    import torch

    from extract.i3d import I3D

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
NOT_FINITE = "the features are not finite: these weights do not fit this input; fetch them again"


def choose_precision(name: str, device: str) -> str:
    """Return the precision to compute in: fp32, bf16 or fp16.

    Args:
        name: One of `PRECISIONS`; auto is bf16 where the device multiplies bf16 faster than fp32, else fp32.
        device: As PyTorch writes it: cpu, cuda:0, mps.

    Raises:
        ConfigError: If there is no such precision.
        BackendError: If the device has it not, or only slower than fp32.
    """
    if name not in PRECISIONS:
        raise ConfigError(f"unknown precision '{name}'{suggest(name, PRECISIONS)}")
    able = _fast_precisions(device)
    if name == "auto":
        return "bf16" if "bf16" in able else "fp32"
    if name not in able:
        raise BackendError(f"precision {name} is not fast on device '{device}'; use {' or '.join(able)}, or auto")
    return name


def _fast_precisions(device: str) -> tuple[str, ...]:
    """Return the precisions worth using on a device."""
    import torch

    kind = torch.device(device).type
    if kind == "cpu":
        return ("fp32", "bf16") if cpu_multiplies_bf16() else ("fp32",)
    if kind == "cuda":  # bf16 since Ampere, fp16 since Volta
        major, _ = torch.cuda.get_device_capability(device)
        return ("fp32", "bf16", "fp16") if major >= 8 else ("fp32", "fp16")
    return ("fp32",)


class Engine:
    """One stream, ready for inference; serves one thread.

    Args:
        network: Loaded, in evaluation mode; left as it is.
        device: As PyTorch writes it: cpu, cuda:0, mps.
        precision: One of `PRECISIONS`.

    Raises:
        ConfigError: If there is no such precision.
        BackendError: If the device has it not, or only slower than fp32.
        WeightsError: If a weight is not finite.

    Attributes:
        precision: What it computes in.
        notes: What happened that the user may want to know, one line each.
    """

    def __init__(self, network: I3D, device: str, precision: str = "fp32") -> None:
        import torch

        from extract.i3d_trunk import Trunk

        if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
            raise WeightsError(NOT_FINITE)  # a ReLU of oneDNN turns NaN into 0, so the features might not tell
        self.precision = choose_precision(precision, device)
        self.notes: list[str] = []
        with torch.inference_mode():
            self._trunk = Trunk(network, device, self.precision)
            self._classifier = [p.detach().float().cpu().clone() for p in network.logits.parameters()]
        self._limit = 0  # clips per pass that memory is known to hold; 0: not known

    def embed(self, clips: torch.Tensor) -> FloatArray:
        """Return one feature vector per clip, float32 (B, 1024).

        Args:
            clips: (B, C, F, H, W) on the CPU: float32 in [-1, 1], or uint8 RGB, which is 2 v / 255 - 1.
                Channels-last memory is quickest.

        Raises:
            WeightsError: If a feature is not finite.
            BackendError: If not even one clip fits into the GPU's memory.
        """
        vectors: list[FloatArray] = []
        done = 0
        while done < len(clips):
            part = clips[done : done + (self._limit or len(clips))]
            found = self._try(part)
            if found is not None:
                vectors.append(found)
                done += len(part)
        features = np.concatenate(vectors)
        if not np.isfinite(features).all():
            raise WeightsError(NOT_FINITE)
        return features

    def classify(self, features: FloatArray) -> FloatArray:
        """Map feature vectors (N, 1024) to class logits (N, n_classes), float32."""
        import torch

        weight, bias = self._classifier
        with torch.inference_mode():
            logits: FloatArray = torch.addmm(bias, torch.from_numpy(features), weight.flatten(1).T).numpy()
        return logits

    def _try(self, clips: torch.Tensor) -> FloatArray | None:
        """Return the features of clips, or None where memory holds only half of them."""
        import torch

        try:
            return self._embed(clips)
        except torch.OutOfMemoryError as error:
            if len(clips) == 1:
                shape = " x ".join(str(size) for size in clips.shape[2:])
                raise BackendError(f"no memory on the device for one clip of {shape}; try --device cpu") from error
            self._halve(len(clips))
            return None

    def _halve(self, n: int) -> None:
        self._limit = (n + 1) // 2
        self.notes = [f"the device's memory holds no {n} snippets: going on with {self._limit} at a time"]

    def _embed(self, clips: torch.Tensor) -> FloatArray:
        import torch

        from extract.i3d import average_pool

        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            vectors: FloatArray = average_pool(self._trunk(clips)).mean(dim=(2, 3, 4)).cpu().numpy()
        return vectors
