"""The CMCS authors' checkpoints as ours: their names, shapes and order of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

from tal.errors import ModelError
from tal.methods._foreign import Foreign

_NOT_THEIRS = "not a CMCS checkpoint of the authors' code"
_REMEDY = "give one of its 'model-...' files"


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate a state dict of the authors' network into one of `tal.methods.cmcs.Network`.

    Args:
        state: What ``torch.load`` reads from one of their files: embedding ``base``, branches ``cls_bottoms`` and
            ``cls_heads``, and, unless trained without it, attention ``att_bottom`` and ``att_head``.

    Returns:
        Our state dict; the bias of their last attention layer, which the softmax over time cancels, is left out.

    Raises:
        ModelError: If a tensor is missing or one too many, or has not the shape of their published architecture.
    """
    given = {key: value for key, value in state.items() if key != "att_head.bias"}
    with Foreign(given, _NOT_THEIRS, _REMEDY).whole() as theirs:
        try:
            return _translate(theirs)
        except (RuntimeError, ValueError) as error:  # branches of different shapes
            raise theirs.misfit(str(error)) from error


def config_from_authors(state: Mapping[str, Tensor], n_classes: int) -> dict[str, Any]:
    """Return the hyper-parameters of ours that a checkpoint of theirs fixes, for C foreground classes.

    Raises:
        ModelError: If `from_authors` cannot read it, or if it scores neither C classes nor C and background.
    """
    ours = from_authors(state)
    n_branches, n_scores, _ = ours["heads.weight"].shape
    if n_scores - n_classes not in (0, 1):
        raise ModelError(
            f"the checkpoint scores {n_scores} classes, not {n_classes} or, with background, {n_classes + 1}; "
            "name its classes in its order"
        )
    return {
        "branches": n_branches,
        "filters": len(ours["embedding.bias"]),
        "attention": "attention.hidden.weight" in ours,
        "hard_negatives": "motion" if n_scores > n_classes else "none",
    }


def _translate(theirs: Foreign) -> dict[str, Tensor]:
    """Take what is known."""
    count = sum(key.startswith("cls_heads.") and key.endswith(".weight") for key in theirs.left)
    bottoms = [f"cls_bottoms.{i}.cls_b{i}_conv_0" for i in range(count)]
    heads = [f"cls_heads.{i}" for i in range(count)]
    ours = {
        "embedding.weight": _one_snippet(theirs.take("base.base_conv_0.weight")),
        "embedding.bias": theirs.take("base.base_conv_0.bias"),
        "branches.weight": torch.cat([_three_snippets(theirs.take(f"{name}.weight")) for name in bottoms]),
        "branches.bias": torch.cat([theirs.take(f"{name}.bias") for name in bottoms]),
        "heads.weight": torch.stack([theirs.take(f"{name}.weight") for name in heads]),
        "heads.bias": torch.stack([theirs.take(f"{name}.bias") for name in heads]).unsqueeze(2),
    }
    if "att_head.weight" in theirs.left:
        ours["attention.hidden.weight"] = _one_snippet(theirs.take("att_bottom.att_conv_0.weight"))
        ours["attention.hidden.bias"] = theirs.take("att_bottom.att_conv_0.bias")
        ours["attention.output.weight"] = theirs.take("att_head.weight")
    return ours


def _one_snippet(kernel: Tensor) -> Tensor:
    """Turn a convolution's kernel (out, in, 1) into a matrix."""
    return kernel.squeeze(2) if kernel.dim() == 3 and kernel.shape[2] == 1 else _refuse(kernel)


def _three_snippets(kernel: Tensor) -> Tensor:
    """Turn a kernel (out, in, 3) into a matrix for three snippets beside each other."""
    return kernel.transpose(1, 2).flatten(1) if kernel.dim() == 3 and kernel.shape[2] == 3 else _refuse(kernel)


def _refuse(kernel: Tensor) -> Tensor:
    raise RuntimeError(f"a convolution of shape {tuple(kernel.shape)}")
