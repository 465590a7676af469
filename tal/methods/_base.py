"""What every method offers the trainer and the localizer.

A method sees features and video-level labels; it knows nothing of videos, files or seconds. Streams (late or early
fusion) are the trainer's business: a method is built once per network and sees (B, T, D) whatever D is made of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from tal.settings import Section
from tal.types import Activations, FloatArray


@dataclass(frozen=True)
class Batch:
    """Equal-length samples of several videos.

    Attributes:
        features: Snippet features, float32 (B, T, D).
        labels: Multi-hot video labels, float32 (B, C).
        aux: Where the samples come from: ``video`` (B,) is each video's place in the training set, ``snippet`` (B, T)
            the sampled snippet indices, both int64. With them a method finds again what it kept in `Method.prepare`.
    """

    features: Tensor
    labels: Tensor
    aux: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledVideo:
    """One whole training video, as `Method.prepare` sees it.

    Attributes:
        features: Snippet features, float32 (T, D).
        labels: Multi-hot labels, float32 (C,).
        motion: Mean flow magnitude per snippet, px per frame, (T,); None where the shard has none.
    """

    features: FloatArray
    labels: FloatArray
    motion: FloatArray | None


LEAST_SPREAD = 1e-3


class Method(nn.Module, ABC):
    """A network that learns from video-level labels and says when each class happens.

    Args:
        config: The module's ``Config``.
        n_channels: Feature dimension D.
        n_classes: Foreground classes C; a background class, if the method has one, never leaves its file.
    """

    def __init__(self, config: Section, n_channels: int, n_classes: int) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_classes = n_classes
        self.feature_mean: Tensor | None = None
        self.feature_scale: Tensor | None = None

    def standardise(self, mean: FloatArray, spread: FloatArray) -> None:
        """Have features brought to mean 0 and deviation 1 before this network sees them; kept with its weights.

        Args:
            mean: Mean of each dimension, (D,).
            spread: Standard deviation of each, (D,); one that hardly varies is not blown up.
        """
        del self.feature_mean, self.feature_scale
        self.register_buffer("feature_mean", torch.from_numpy(mean))
        self.register_buffer("feature_scale", torch.from_numpy(1 / (spread + LEAST_SPREAD)))

    def scaled_array(self, features: FloatArray) -> FloatArray:
        """Return `scaled` of a NumPy array, on the CPU."""
        with torch.inference_mode():
            scaled: FloatArray = self.scaled(torch.from_numpy(features)).numpy()
        return scaled

    def scaled(self, features: Tensor) -> Tensor:
        """Return features as the network wants them, (..., D): unchanged unless `standardise` was called."""
        if self.feature_mean is None or self.feature_scale is None:
            return features
        return (features - self.feature_mean) * self.feature_scale

    @abstractmethod
    def objectives(self, batch: Batch) -> Iterator[dict[str, Tensor]]:
        """Yield dicts of named scalar losses; each yielded dict gets one optimizer step on the sum of its values."""

    @abstractmethod
    def activate(self, features: Tensor) -> Activations:
        """Map a whole video's features (T, D), T >= 1, to float32 NumPy activations, without gradients."""

    def prepare(self, videos: Iterable[LabelledVideo]) -> None:
        """Look once at the whole training set, after initialisation and before the first update.

        By default nothing is looked at and nothing is read. A resumed run calls it again, so it must be a function of
        the videos and PyTorch's seed alone; what it keeps belongs into plain attributes or non-persistent buffers, so
        that it does not enter the model file.

        Args:
            videos: The training set in the order of ``Batch.aux["video"]``, read lazily, once.
        """
