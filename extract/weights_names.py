"""What four projects call I3D's tensors.

Ours are the names of piergiaj/pytorch-i3d, such as ``Mixed_5b.b2b.bn.running_var``. That tensor is
``mixed_5b.branch_2.1.batch3d.running_var`` in hassony2/kinetics_i3d_pytorch and
``RGB/inception_i3d/Mixed_5b/Branch_2/Conv3d_0a_3x3/batch_norm/moving_variance`` in DeepMind's checkpoints.
"""

from __future__ import annotations

import re

COUNTER = ".num_batches_tracked"
"""How BatchNorm's counters end: of no use in inference, and left out."""

_HASSONY2 = {
    "b0": "branch_0",
    "b1a": "branch_1.0",
    "b1b": "branch_1.1",
    "b2a": "branch_2.0",
    "b2b": "branch_2.1",
    "b3b": "branch_3.1",
}
_FROM_HASSONY2 = {theirs: ours for ours, theirs in _HASSONY2.items()}
_FROM_TENSORFLOW = {
    "Branch_0/Conv3d_0a_1x1": "b0",
    "Branch_1/Conv3d_0a_1x1": "b1a",
    "Branch_1/Conv3d_0b_3x3": "b1b",
    "Branch_2/Conv3d_0a_1x1": "b2a",
    "Branch_2/Conv3d_0b_3x3": "b2b",
    "Branch_2/Conv3d_0a_3x3": "b2b",  # in Mixed_5b
    "Branch_3/Conv3d_0b_1x1": "b3b",
}
_KINDS = {
    "conv_3d/w": "conv3d.weight",
    "conv_3d/b": "conv3d.bias",
    "batch_norm/beta": "bn.bias",
    "batch_norm/gamma": "bn.weight",
    "batch_norm/moving_mean": "bn.running_mean",
    "batch_norm/moving_variance": "bn.running_var",
}
_VARIABLE = re.compile(
    r"(?:(?:RGB|Flow)/)?(?:inception_i3d/)?"
    r"(?P<unit>\w+)(?:/(?P<branch>\w+/\w+|Conv3d_0c_1x1))??"
    rf"/(?P<kind>{'|'.join(_KINDS)})(?P<slot>/.+)?"
)


def from_any(key: str) -> str:
    """Return our name of a tensor that the reference or hassony2 names, also within ``DataParallel``."""
    key = key.removeprefix("module.")
    key = re.sub(r"^conv3d_0c_1x1\.", "logits.", key)
    key = re.sub(r"^(conv3d|mixed)_", lambda found: found[0].capitalize(), key)
    key = re.sub(r"\.(branch_\d(?:\.\d)?)(?=\.)", lambda found: "." + _FROM_HASSONY2.get(found[1], found[1]), key)
    return key.replace(".batch3d.", ".bn.")


def to_hassony2(key: str) -> str:
    """Return hassony2's name of a tensor of ours."""
    if key.startswith("logits."):
        return key.replace("logits.", "conv3d_0c_1x1.")
    unit, *rest = key.replace(".bn.", ".batch3d.").split(".")
    return ".".join([unit[0].lower() + unit[1:], *(_HASSONY2.get(part, part) for part in rest)])


def from_tensorflow(name: str) -> str | None:
    """Return our name of one of DeepMind's variables; an unknown name as it is.

    Returns:
        None for what training left behind: an optimizer's slots (``.../w/Momentum``), and counters such as
        ``global_step``, whose names have no scope.
    """
    found = _VARIABLE.fullmatch(name)
    if found is None:
        return name if "/" in name else None
    if found["slot"]:
        return None
    unit, branch = found["unit"], found["branch"]
    if (unit, branch) == ("Logits", "Conv3d_0c_1x1"):
        unit, branch = "logits", None
    within = [_FROM_TENSORFLOW.get(branch, branch)] if branch else []
    return ".".join([unit, *within, _KINDS[found["kind"]]])
