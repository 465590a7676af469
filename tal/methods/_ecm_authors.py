"""The ECM authors' checkpoints as ours: their names and shapes.

Their classes of THUMOS14 are in alphabetical order; their features are appearance before motion, as with early fusion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor  # noqa: TID253

from tal.errors import ModelError
from tal.methods._foreign import Foreign

_NOT_THEIRS = "not an ECM checkpoint of the authors' code"
_REMEDY = "give the 'state_dict' of one of their '.pth' files"
_TAPS = {"classifier.first": "base_module.conv_1", "classifier.second": "base_module.conv_2"}


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate a state dict of the authors' network into one of `tal.methods.ecm.Network`.

    Args:
        state: The ``state_dict`` of what ``torch.load`` reads from one of their files.

    Returns:
        Our state dict.

    Raises:
        ModelError: If a tensor is missing or one too many, or has not the shape of their published architecture.
    """
    with Foreign(state, _NOT_THEIRS, _REMEDY).whole() as theirs:
        ours = {}
        for name, their_name in _TAPS.items():
            ours[f"{name}.weight"] = theirs.take(f"{their_name}.weight", taps=3).permute(2, 0, 1).contiguous()
            ours[f"{name}.bias"] = theirs.take(f"{their_name}.bias")
        ours["classifier.output"] = theirs.take("classifier_module.conv.weight", taps=1)[..., 0]
        ours["transition.weight"] = theirs.take("attention_module.conv_1.weight", taps=1)[..., 0]
        ours["transition.bias"] = theirs.take("attention_module.conv_1.bias")
    return ours


def config_from_authors(state: Mapping[str, Tensor], n_classes: int) -> dict[str, Any]:
    """Return the hyper-parameters of ours that a checkpoint of theirs fixes, for C classes.

    Raises:
        ModelError: If `from_authors` cannot read it, or if it scores other than C classes.
    """
    output = from_authors(state)["classifier.output"]
    if len(output) != n_classes:
        raise ModelError(f"the checkpoint scores {len(output)} classes, not {n_classes}; name its classes in its order")
    return {"hidden": output.shape[1]}
