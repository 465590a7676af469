"""Good files of every kind that is read from strangers, small, made when they are asked for."""

from __future__ import annotations

import base64
import io
import json
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tal import shards
from tal.types import Detection, Features, Segment, SnippetGrid

_TRUTH = {
    "version": "1",
    "database": {
        "v1.mp4": {
            "subset": "train",
            "duration": 12.5,
            "annotations": [{"label": "Run", "segment": [0.5, 2.0]}, {"label": "Jump", "segment": ["3", "4.5"]}],
        },
        "v2": {"subset": "train", "annotations": [{"label": "Ambiguous", "segment": [0, 1]}]},
    },
}
_RESULTS = {
    "version": "tal 1",
    "results": {"v1": [{"label": "Run", "segment": [0.0, 1.5], "score": 0.5}], "v2": []},
    "external_data": {"used": False, "details": ""},
    "provenance": {"tal": "1"},
}
_CONFIG = """method:
  name: stpn
  sparsity: 1e-4
train: &t {lr: 1.0e-4, steps: 20, seed: 3}
extract:
  fps: 25
  streams: [rgb, flow]
localize: {}
"""
_INDEX = base64.b64decode(
    "AAAGCAEaAggBAAMTYS93CAESCBICCAISAggDKBg1wNs9FwABEWIIARIEEgIIAiAYKAg16ONGWQAAAAABAAAAAMbSTYwAAAAAALx17Y4AAQJiAD"
    "8AAAAAAQAAAABJc3S/RARNDgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAFf7gIskdUfb"
)
"""Of two variables, ``a/w`` of 2 times 3 numbers and ``b`` of 2; written by the tests' writer of such checkpoints."""
_DATA = base64.b64decode("AAAAAAAAgD8AAABAAABAQAAAgEAAAKBAAACAPwAAgD8=")
_ENTRY = base64.b64decode("CAESCBICCAISAggDKBg1az46qA==")
_SHOTS = (Detection("Run", Segment(1.0, 3.0), 0.5), Detection("Throw <b>&", Segment(1.4, 2.2), 0.9))


def _features() -> Features:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    return Features({"rgb": rows, "flow": rows + 1}, SnippetGrid(3), 2.0, rows[:, 0], {"weights_spec": "random:0"})


def _written(write: Callable[[Path], object], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def _archive(save: Callable[..., None] = np.savez, **arrays: Any) -> bytes:
    made = io.BytesIO()
    save(made, **arrays)
    return made.getvalue()


def _npz(save: Callable[..., None]) -> bytes:
    features = _features()
    return _archive(save, **features.streams, fps=25.0, stride=16, length=16, duration_s=2.0, motion=features.motion)


def _npy(values: Any, protocol: int = 0) -> bytes:
    made = io.BytesIO()
    if not protocol:
        np.save(made, values, allow_pickle=False)
        return made.getvalue()
    header = {"descr": "|O", "fortran_order": False, "shape": values.shape}
    np.lib.format.write_array_header_1_0(made, header)
    return made.getvalue() + pickle.dumps(values, protocol)


def _objects() -> list[bytes]:
    values = np.empty(3, object)
    values[:] = [np.arange(4.0), ["a", b"b"], {"c": (1, 2.5)}]
    return [_npy(values, protocol) for protocol in (2, 4, 5)]


def _torch(legacy: bool) -> bytes:
    import torch

    made = io.BytesIO()
    state = {"state_dict": {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}, "epoch": 3}
    torch.save(state, made, _use_new_zipfile_serialization=not legacy)
    return made.getvalue()


def _tensors(names: Mapping[str, Any]) -> bytes:
    from safetensors.numpy import save

    return bytes(save(dict(names)))


def _activations() -> bytes:
    rows = np.ones((3, 2), np.float32)
    parts = {"cas": rows, "signal": rows, "scores": rows[0], "attention": rows[:, 0]}
    return _tensors({f"rgb/{name}": np.ascontiguousarray(values) for name, values in parts.items()})


def _model() -> bytes:
    from tal import models

    method = {"name": "stpn"}
    networks = {"rgb": models.build(method, 4, 2)}
    meta = models.ModelMeta(method=method, classes=("a", "b"), networks={"rgb": 4}, streams={"rgb": 4})
    return _written(lambda path: models.save(path, networks, meta), "model.safetensors")


def _exported(name: str) -> bytes:
    from tal import exports

    video = exports.Video("v", _SHOTS, exports.Media(None, Fraction(25), 320, 240, 0.0, 40.0, 1000))
    return "".join(exports.load(name, "export").pieces([video], exports.ExportOptions())).encode()


_MAKERS: dict[str, Callable[[], list[bytes]]] = {
    "shard": lambda: [_written(lambda path: shards.write(path, _features(), "key"), "v.safetensors")],
    "labels csv": lambda: [b"video,label\nv1,Run\nv2,Jump\n", b'sep=;\nvideo;type;subset\n"v1";Run;train\n'],
    "truth csv": lambda: [b"video,label,start,end,duration\nv1,Run,0.5,2,12\nv1,Jump,3,4.5,12\n"],
    "truth json": lambda: [json.dumps(_TRUTH).encode()],
    "truth thumos14": lambda: [b"v1.mp4 0.5 2.0\nv2  3 4.5\n"],
    "results json": lambda: [json.dumps(_RESULTS).encode()],
    "results thumos14": lambda: [b"v1 0.0 1.5 7 0.5\nv2 1 2 36 0.25\n", b"v1 0.0 1.5 Diving 0.5\n"],
    "config": lambda: [_CONFIG.encode()],
    "durations json": lambda: [b'{"v1": {"duration_second": 12.5, "feature_frame": 300, "duration_frame": 320}}'],
    "durations csv": lambda: [b"video,duration\nv1,12.5\n", b"video,fps,count\nv1,25,300\n"],
    "durations text": lambda: [b"v1 12.5\nv2,3\n", b"v1\n12.5\n"],
    "npy": lambda: [_npy(np.arange(12, dtype=np.float32).reshape(3, 4)), _npy(np.array(["a", "b"]))],
    "npy objects": _objects,
    "npz": lambda: [_npz(np.savez), _npz(np.savez_compressed)],
    "tensors npz": lambda: [_archive(a=np.ones((2, 3), np.float32), b=np.zeros(2))],
    "tensorflow": lambda: [_INDEX],
    "tensorflow data": lambda: [_DATA],
    "tensorflow entry": lambda: [_ENTRY],
    "activations": lambda: [_activations()],
    "tensors": lambda: [_tensors({"a": np.ones((2, 3), np.float32), "b": np.zeros(2, np.float64)})],
    "torch": lambda: [_torch(legacy=False)],
    "torch legacy": lambda: [_torch(legacy=True)],
    "model": lambda: [_model()],
    **{
        name: lambda name=name: [_exported(name)] for name in ("cvat", "elan", "fiftyone", "label-studio", "via", "vtt")
    },  # type: ignore[misc]
}


class _Seeds(Mapping[str, list[bytes]]):
    """Contents by kind, made once each."""

    def __init__(self) -> None:
        self._made: dict[str, list[bytes]] = {}

    def __getitem__(self, kind: str) -> list[bytes]:
        if kind not in self._made:
            self._made[kind] = _MAKERS[kind]()
        return self._made[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(_MAKERS)

    def __len__(self) -> int:
        return len(_MAKERS)


SEEDS = _Seeds()
