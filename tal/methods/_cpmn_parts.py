"""The two modules of CPMN, a classifier of the cascade and the pyramid attention module, and what both need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.methods._blocks import dense

_ROUNDING = 1e-5  # relative; float32 sums of a few hundred products


def minmax(sequences: Tensor, constant: float) -> Tensor:
    """Scale sequences over time to [0, 1] (eq. 3).

    Args:
        sequences: Any finite values, (B, T, C).
        constant: What a sequence becomes that varies no more than rounding does; eq. 3 is 0 / 0 where none does.

    Returns:
        The same shape.
    """
    low, high = sequences.amin(dim=1, keepdim=True), sequences.amax(dim=1, keepdim=True)
    spread = high - low
    varies = spread > _ROUNDING * torch.maximum(low.abs(), high.abs())
    return torch.where(varies, (sequences - low) / torch.where(varies, spread, 1), constant)


def positive_share(sequences: Tensor) -> Tensor:
    """Return what is above zero as a share of each sequence's maximum over time, [0, 1], (B, T, C)."""
    positive = sequences.clamp_min(0)
    high = positive.amax(dim=1, keepdim=True)
    return positive / torch.where(high > 0, high, 1)


def cut(features: Tensor, length: int) -> Tensor:
    """Cut videos into windows side by side, the last filled up with the video's last snippet.

    Args:
        features: (B, T, D).
        length: Snippets of a window.

    Returns:
        (B, windows, length, D).
    """
    missing = -features.shape[1] % length
    if missing:
        features = torch.cat((features, features[:, -1:].expand(-1, missing, -1)), dim=1)
    return features.reshape(len(features), -1, length, features.shape[2])


def resized(sequence: Tensor, length: int) -> Tensor:
    """Interpolate (T, X) linearly between snippet centres to (length, X); ends are held."""
    stretched: Tensor = functional.interpolate(sequence.T.unsqueeze(0), length, mode="linear")
    return stretched[0].T


class Convolution(nn.Module):
    """A temporal convolution of kernel 3 that keeps the length; Glorot-uniform weights, zero biases."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in, 3))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, K, T) to (B, K', T)."""
        found: Tensor = functional.conv1d(maps, self.weight, self.bias, padding=1)
        return found

    def taps(self, features: Tensor) -> Tensor:
        """Return the products of one video's snippets (T, D) with the three taps, still to be added up, (3, K, T)."""
        products: Tensor = torch.einsum("kds,td->skt", self.weight, features)
        return products

    def add_up(self, taps: Tensor, keep: Tensor) -> Tensor:
        """Return the convolution of a video some of whose snippets are erased, (N, K, T).

        However a video is erased, the products of what remains are the same, and only their sums differ.

        Args:
            taps: What `taps` returned, (3, K, T).
            keep: N erasures: 0 where a snippet is erased, else 1, (N, T).
        """
        before, here, after = (tap * keep.unsqueeze(1) for tap in taps)  # (N, K, T) each
        total: Tensor = here + self.bias.unsqueeze(1)
        total[:, :, 1:] += before[:, :, :-1]
        total[:, :, :-1] += after[:, :, 1:]
        return total


class Classifier(nn.Module):
    """One stage of the cascade: two convolutions, average pooling, one layer (section 3.3, figure 2).

    Args:
        n_channels: Feature dimension D.
        filters: Width K of both convolutions.
        n_classes: Classes C.
    """

    def __init__(self, n_channels: int, filters: int, n_classes: int) -> None:
        super().__init__()
        self.first = Convolution(n_channels, filters)
        self.second = Convolution(filters, filters)
        self.output = dense(filters, n_classes)

    def maps(self, features: Tensor) -> Tensor:
        """Return the last feature maps Z, (B, K, T), for features (B, T, D)."""
        return self.last_maps(self.first(features.transpose(1, 2)))

    def last_maps(self, first: Tensor) -> Tensor:
        """Return Z, (B, K, T), for what the first convolution gives before its ReLU, (B, K, T)."""
        return functional.relu(self.second(functional.relu(first)))

    def cas(self, maps: Tensor) -> Tensor:
        """Return the T-CAS of eq. 2, (B, T, C), which has no bias, for Z (B, K, T)."""
        return functional.linear(maps.transpose(1, 2), self.output.weight)

    def logits(self, maps: Tensor) -> Tensor:
        """Return video-level logits, (B, C), for Z (B, K, T): eq. 1 with the average that section 3.3 names."""
        logits: Tensor = self.output(maps.mean(dim=2))
        return logits


class Pyramid(nn.Module):
    """Label maps at several temporal resolutions (section 3.3, figure 3).

    The paper does not describe its lateral connections; here they are those of the feature pyramid network (Lin et
    al., CVPR 2017): the coarser level, repeated in time, is added to the finer one before both are classified.

    Args:
        n_channels: Feature dimension D.
        filters: Width K of each level.
        n_classes: Classes C.
        levels: Resolutions L; level l has T / 2^(l - 1) steps.
        lateral: Whether levels are connected.
    """

    def __init__(self, n_channels: int, filters: int, n_classes: int, levels: int, lateral: bool) -> None:
        super().__init__()
        self.lateral = lateral
        self.levels = nn.ModuleList(dense(n_channels, filters) for _ in range(levels))
        self.outputs = nn.ModuleList(dense(filters, n_classes) for _ in range(levels))

    @property
    def stride(self) -> int:
        """Snippets per step of the coarsest level; T must be a multiple."""
        return 1 << (len(self.levels) - 1)

    def maps(self, features: Tensor) -> list[Tensor]:
        """Return each level's own feature maps, finest first, (B, T / 2^(l - 1), K), for features (B, T, D)."""
        found: list[Tensor] = []
        for level in self.levels:
            if found:
                b, t, d = features.shape
                features = features.reshape(b, t // 2, 2, d).amax(dim=2)
            found.append(functional.relu(level(features)))
        return found

    def label_maps(self, maps: Sequence[Tensor], repeats: int = 2) -> Iterator[Tensor]:
        """Classify from the coarsest level to the finest, each with what the lateral connections bring.

        Args:
            maps: What `maps` returned.
            repeats: How often a coarser step is repeated to make finer ones.

        Yields:
            One level's label maps, coarsest first, (B, its steps, C).
        """
        context: Tensor | None = None
        for own, output in zip(reversed(maps), reversed(self.outputs), strict=True):
            coarser = context if self.lateral else None
            context = own if coarser is None else own + coarser.repeat_interleave(repeats, dim=1)
            yield output(context)

    def logits(self, features: Tensor) -> Tensor:
        """Return the average over levels of the average-pooled label maps, (B, C), for features (B, T, D).

        Repeating, adding and classifying are linear, so that pooling comes first: the same for less.
        """
        pooled = [maps.mean(dim=1, keepdim=True) for maps in self.maps(features)]
        return torch.cat(list(self.label_maps(pooled, 1)), dim=1).mean(dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the heatmaps before eq. 3: label maps repeated and added up, (B, T, C), for features (B, T, D)."""
        total = features.new_zeros(1)
        for number, labels in enumerate(self.label_maps(self.maps(features))):
            total = labels + total.repeat_interleave(2, dim=1) if number else labels
        return total
