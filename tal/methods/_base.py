"""What every method offers the trainer and the localizer.

A method sees features and video-level labels; it knows nothing of videos, files or seconds. Streams (late or early
fusion) are the trainer's business: a method is built once per network and sees (B, T, D) whatever D is made of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch  # noqa: TID253
from numpy.typing import NDArray
from torch import Tensor, nn  # noqa: TID253

from tal.settings import Section
from tal.types import Activations, FloatArray


@dataclass(frozen=True)
class Batch:
    """Samples of several videos: of equal length, or whole videos side by side.

    Attributes:
        features: Snippet features, float32: (B, T, D), or (sum of `lengths`, D) where `lengths` is given.
        labels: Multi-hot video labels, float32 (B, C); a row of zeros is background.
        aux: Where the samples come from: ``video`` (B,) is each one's video's place in the training set, ``snippet``
            (B, T), or (sum of `lengths`,), the snippets' indices in their videos, both int64; ``weight`` (B,), float32,
            is how much each sample counts (`Sample.weight`).
        lengths: Snippets of each video where whole videos lie side by side (``train.sampling: whole``).
        done: Share of the run's updates that were made before this one, in [0, 1).
    """

    features: Tensor
    labels: Tensor
    aux: Mapping[str, Tensor] = field(default_factory=dict)
    lengths: tuple[int, ...] | None = None
    done: float = 0.0

    def packed(self) -> tuple[Tensor, tuple[int, ...]]:
        """Return all snippets one below the other, (N, D), and how many each sample has, (B,), for either form."""
        if self.lengths is not None:
            return self.features, self.lengths
        b, t, d = self.features.shape
        return self.features.reshape(b * t, d), (t,) * b


@dataclass(frozen=True)
class LabelledVideo:
    """One whole training video, as `Method.prepare` sees it.

    Attributes:
        features: Snippet features, float32 (T, D).
        labels: Multi-hot labels, float32 (C,).
        motion: Mean flow magnitude per snippet, px per frame, (T,); None where the shard has none.
        snippets_per_s: How densely snippets follow each other.
        guide: What the network of the same streams of another model, ``train.guide``, says about this video; None
            where the run has no guide.
    """

    features: FloatArray
    labels: FloatArray
    motion: FloatArray | None
    snippets_per_s: float = 25 / 16
    guide: Activations | None = None


@dataclass(frozen=True)
class Sample:
    """Something to learn from: a video, or some of its snippets, with labels.

    Attributes:
        video: The video's place in the training set.
        labels: Multi-hot labels, float32 (C,); zeros for background.
        snippets: Its snippets that belong to the sample, increasing, int64 (T',); None for all.
        weight: How much the sample counts; a method that knows weights finds it in ``Batch.aux["weight"]``.
    """

    video: int
    labels: FloatArray
    snippets: NDArray[np.int64] | None = None
    weight: float = 1.0


LEAST_SPREAD = 1e-3


class Method(nn.Module, ABC):
    """A network that learns from video-level labels and says when each class happens.

    Args:
        config: The module's ``Config``.
        n_channels: Feature dimension D.
        n_classes: Foreground classes C; a background class, if the method has one, never leaves its file.

    Attributes:
        WHOLE: Whether the method can learn from whole videos of any length (``train.sampling: whole``).
        GUIDE: Whether what another model says about the training videos (``train.guide``) is of use, or needed.
    """

    WHOLE: ClassVar[bool] = False
    GUIDE: ClassVar[Literal["none", "optional", "needed"]] = "none"

    def __init__(self, config: Section, n_channels: int, n_classes: int) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_classes = n_classes
        self.feature_mean: Tensor | None = None
        self.feature_scale: Tensor | None = None

    @classmethod
    def for_streams(cls, config: Section, n_streams: int) -> Section:
        """Return the hyper-parameters for networks that see so many streams side by side; by default the same.

        Args:
            config: The module's ``Config``.
            n_streams: How many equal parts D is made of: 2 for ``train.fusion: early``, else 1.
        """
        return config

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
            place = None if self.feature_mean is None else self.feature_mean.device
            scaled: FloatArray = self.scaled(torch.from_numpy(features).to(place)).cpu().numpy()
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

    def prepare(self, videos: Iterable[LabelledVideo]) -> Sequence[Sample] | None:
        """Look once at the whole training set, after initialisation and before the first update.

        By default nothing is looked at and nothing is read. A resumed run calls it again, so it must be a function of
        the videos and PyTorch's seed alone; what it keeps belongs into plain attributes or non-persistent buffers, so
        that it does not enter the model file.

        Args:
            videos: The training set in the order of ``Batch.aux["video"]``, read lazily, once.

        Returns:
            What one epoch consists of; None for every video once, with its own labels.
        """
        return None
