"""Checkpoints of STPN's public re-implementation as ours: its names and shapes.

Its 20 classes of THUMOS14 are in alphabetical order; it has one network per stream and averages over snippets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor  # noqa: TID253

from tal.errors import ModelError
from tal.methods._foreign import Foreign

_NOT_THEIRS = "not an STPN checkpoint of bellos1203's code"
_REMEDY = "give one of its 'rgb_...' or 'flow_...' files"
_LAYERS = {
    "attention.hidden": "Attention/dense",
    "attention.output": "Attention/dense_1",
    "classifier": "Classification/class_weight",
}
_SCOPES = ("Attention/", "Classification/")
_SLOTS = ("/Adam", "/Adam_1")  # the optimizer's


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate the variables of their network into a state dict of `tal.methods.stpn.Network`.

    Args:
        state: A checkpoint's variables, ``Attention/dense/kernel`` and so on, or with dots for slashes; what lies
            outside of the two scopes, such as counters of the optimizer, and its slots are left out.

    Returns:
        Our state dict; kernels are turned from (in, out) to (out, in).

    Raises:
        ModelError: If a variable is missing or one too many, or is no matrix where one should be.
    """
    left = {key.replace(".", "/"): value for key, value in state.items()}
    left = {key: value for key, value in left.items() if key.startswith(_SCOPES) and not key.endswith(_SLOTS)}
    with Foreign(left, _NOT_THEIRS, _REMEDY, "variable").whole() as theirs:
        ours = {}
        for name, their_name in _LAYERS.items():
            ours[f"{name}.weight"] = theirs.take(f"{their_name}/kernel", 2).t().contiguous()
            ours[f"{name}.bias"] = theirs.take(f"{their_name}/bias", 1)
    return ours


def config_from_authors(state: Mapping[str, Tensor], n_classes: int) -> dict[str, Any]:
    """Return the hyper-parameters of ours that a checkpoint of theirs fixes, for C classes.

    Raises:
        ModelError: If `from_authors` cannot read it, or if it scores other than C classes.
    """
    ours = from_authors(state)
    if (found := len(ours["classifier.bias"])) != n_classes:
        raise ModelError(f"the checkpoint scores {found} classes, not {n_classes}; name its classes in its order")
    return {"hidden": len(ours["attention.hidden.bias"]), "attention": True, "pool": "mean"}
