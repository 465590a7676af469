"""What a backbone is.

A backbone maps a snippet, as the pass gives it to I3D, to the vector that its own classifier reads. Maps are averaged
over all positions and all times, so that a snippet may have any number of frames from 8 and any size; at the size that
a network was trained on this is its own pooling.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from extract.fetch import KnownFile
from tal.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

N_CLASSES = 400
"""Every backbone was trained on Kinetics-400; the classes are in alphabetical order."""


class Embedder(Protocol):
    """A network with its weights, on its device."""

    n_features: int
    notes: list[str]

    def embed(self, clips: Tensor) -> FloatArray:
        """Map clips to feature vectors.

        Args:
            clips: (B, 3, F, H, W), or (B, 2, F, H, W) for flow: float32 in [-1, 1], or uint8 RGB, which is
                2 v / 255 - 1. On any device, in any memory format.

        Returns:
            float32 (B, n_features); a clip's vector does not depend on the others in its batch.
        """

    def classify(self, features: FloatArray) -> FloatArray:
        """Map feature vectors (B, n_features) to logits of the Kinetics-400 classes, float32 (B, 400)."""

    def calibrate(self, clips: Iterable[Tensor]) -> None:
        """Set the BatchNorm statistics of random weights from batches of clips, as `embed` takes them."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of the weights, on the CPU, under the names that the network's own library gives them."""


@dataclass(frozen=True)
class Training:
    """The clips that a network was trained or, where only that is published, tested on.

    Attributes:
        n_frames: Frames that enter the network.
        fps: Their rate, frames per second.
        short_side_px: The shorter side that frames were scaled to.
        crop_px: Side of the square that is cut out of them.
    """

    n_frames: int
    fps: float
    short_side_px: int
    crop_px: int

    def __str__(self) -> str:
        return f"{self.n_frames} frames of {self.crop_px} x {self.crop_px} px at {self.fps:g} fps"


@dataclass(frozen=True)
class Backbone(ABC):
    """A network by name: everything about it but its weights.

    Attributes:
        name: What users call it.
        n_features: Length of a feature vector.
        training: What it was trained on.
        streams: The streams that it knows.
        package: The Python package that it comes from.
    """

    name: str
    n_features: int
    training: Training
    streams: ClassVar[tuple[str, ...]] = ("rgb",)
    package: ClassVar[str] = "torch"

    def why_not(self) -> str | None:
        """Return why this machine cannot use it, or None."""
        if find_spec(self.package):
            return None
        return f"the Python package '{self.package}' is not installed; install it, or use backbone 'i3d'"

    @abstractmethod
    def known_files(self) -> tuple[KnownFile, ...]:
        """Return the weight files that are known by name, each stream's preferred one first."""

    @abstractmethod
    def build(self, stream: str) -> Any:
        """Return the network as its library makes it, untrained, with its own names of tensors."""

    @abstractmethod
    def scaling(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return mean and deviation of each channel, for values in [0, 1]; one number serves all channels."""

    @abstractmethod
    def features(self, network: Any, clips: Tensor) -> Tensor:
        """Map clips that are scaled already to what the classifier reads, (B, n_features)."""

    @abstractmethod
    def logits(self, network: Any, features: Tensor) -> Tensor:
        """Map feature vectors (B, n_features) to logits (B, 400)."""

    def random_state(self, network: Any, seed: int, stream: str) -> Mapping[str, Tensor]:
        """Return untrained weights that depend on the seed alone."""
        del stream
        from extract.backbones import _state

        return _state.random_state(network, seed)

    def read_state(self, network: Any, path: Path, stream: str) -> Mapping[str, Tensor]:
        """Read a weight file and check every tensor.

        Raises:
            WeightsError: If it is damaged, holds code, or is not this network's; names the first wrong tensor.
        """
        del stream
        from extract.backbones import _state

        return _state.read(self.name, network, path)
