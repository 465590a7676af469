"""ECM's classifier, for snippets of videos and for aggregated features alike (section 3.1)."""

from __future__ import annotations

import math

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.methods._ecm_conv import SLOPE, Plan, SnippetScores
from tal.methods._ecm_memory import Pool

FOLDS = 3  # aggregated features per class, the reach of the first convolution (figure 3)


class Convolution(nn.Module):
    """A temporal convolution with three taps, padding 1; PyTorch's own initial values, as in the public code.

    Args:
        n_in: Input channels.
        n_out: Output channels.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(3 * n_in)
        self.weight = nn.Parameter(torch.empty(3, n_out, n_in).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-bound, bound))

    def of_triples(self, rows: Tensor) -> Tensor:
        """Convolve many sequences of length three, (3, n, D) -> (3, n, H): seven products, none with padding."""
        before, here, after = self.weight.to(rows.dtype).transpose(1, 2)  # (D, H) each
        from_before = functional.pad(rows[:-1] @ before, (0, 0, 0, 0, 1, 0))
        from_after = functional.pad(rows[1:] @ after, (0, 0, 0, 0, 0, 1))
        out: Tensor = rows @ here + self.bias.to(rows.dtype) + from_before + from_after
        return out


class Classifier(nn.Module):
    """Phi: two convolutions with leaky ReLU, dropout, and one linear sub-classifier per class (figure 2).

    Args:
        n_channels: Feature dimension D.
        hidden: Width of both hidden layers, H.
        n_classes: Classes C; there is none for background.
        dropout: Share of the last hidden values that training drops.
    """

    def __init__(self, n_channels: int, hidden: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = Convolution(n_channels, hidden), Convolution(hidden, hidden)
        bound = 1 / math.sqrt(hidden)
        self.output = nn.Parameter(torch.empty(n_classes, hidden).uniform_(-bound, bound))
        self.dropout = dropout
        self.pool = Pool()

    def forward(self, features: Tensor, lengths: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Map the snippets of several videos, (N, D), to their class scores, (N, C)."""
        plan = Plan(lengths, dtype, self.dropout if self.training else 0.0, self.pool)
        convolutions = (self.first.weight, self.first.bias, self.second.weight, self.second.bias)
        scores: Tensor = SnippetScores.apply(features, plan, *convolutions, self.output)  # type: ignore[no-untyped-call]
        return torch.index_select(scores, 0, plan.places.to(features.device))

    def of_items(self, items: Tensor, n_weights: int, dtype: torch.dtype) -> Tensor:
        """Let each aggregated feature be judged by its class's sub-classifier alone (section 3.1).

        Args:
            items: Aggregated features, (3, n * `n_weights`, D).
            n_weights: Classes that have features of their own: C, or 1 where all share them.
            dtype: Numbers that the convolutions' products take.

        Returns:
            Scores, (n, C): the mean over the three places.
        """
        hidden = functional.leaky_relu(self.first.of_triples(items.to(dtype)), SLOPE)
        hidden = functional.leaky_relu(self.second.of_triples(hidden), SLOPE)
        mean = functional.dropout(hidden.to(items.dtype), self.dropout, self.training).mean(dim=0)  # (n * W, H)
        if n_weights == 1:
            return mean @ self.output.t()
        return torch.einsum("nch,ch->nc", mean.view(-1, *self.output.shape), self.output)
