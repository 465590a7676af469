"""The readers of what strangers write, each as a function of a file, and good files to begin from.

A reader may return, or raise a `TalError` of one line. Everything else is a finding: another exception, a message of
several lines, a hang, memory that the file does not account for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from _parsers_seeds import SEEDS

from tal import config, npy, shards
from tal.annotations import read_labels, read_truth
from tal.errors import TalError
from tal.results import read_results
from tal.types import STREAMS

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Parser:
    """One reader.

    Attributes:
        name: The file that it reads; may have a folder before it.
        read: Reads a file of that name and uses what it says.
        kinds: Names of its good files in `_parsers_seeds`.
    """

    name: str
    read: Read
    kinds: tuple[str, ...]

    @property
    def seeds(self) -> list[bytes]:
        """Contents of good files."""
        return [content for kind in self.kinds for content in SEEDS[kind]]


def attempt(parser: Parser, content: bytes, folder: Path) -> str | None:
    """Write `content` as the reader's file and read it; return why it was refused, None if it was not.

    Raises:
        ValueError: If a refusal is not one line.
    """
    path = folder / parser.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        parser.read(path)
    except TalError as error:
        told = str(error).replace(str(path), "FILE").replace(str(folder), "FOLDER")
        if not told or len(told.splitlines()) > 1 or len(told) > 2000:
            raise ValueError(f"{parser.name}: refused with {told!r:.200}") from error
        return told
    return None


def _shard(path: Path) -> None:
    found = shards.read(path)
    if shards.header(path).grid != found.grid:
        raise ValueError("header and content differ")
    for name in found.streams:
        shards.read_stream(path, name)


def _labels(path: Path) -> None:
    read_labels(path)


def _truth(path: Path) -> None:
    read_truth(path)


def _thumos14(path: Path) -> None:
    read_truth(path.parent)


def _results(path: Path) -> None:
    from tal.results import files

    results = read_results(path)
    files.dumps(results)


def _config(path: Path) -> None:
    from tal.files import digest_of

    digest_of(config.load(files=[path]).model_dump(mode="json"))


def _durations(path: Path) -> None:
    from tal.feature_sets import read_durations

    if any(not 0 < one.seconds < float("inf") for one in read_durations(path).values()):
        raise ValueError("a duration that is none")


def _npy(path: Path) -> None:
    stored = npy.read(path)
    for one in stored.items if stored.is_object else [stored]:
        if isinstance(one, npy.Stored) and not one.is_object:
            try:
                one.load()
            except npy.Damaged as error:
                if "\n" in str(error):
                    raise ValueError("a refusal of several lines") from error
        npy.text(one)


def _feature_set(format_: str) -> Read:
    def read(path: Path) -> None:
        from tal import feature_sets

        module = feature_sets.load(format_, "import")
        asked = feature_sets.ImportOptions(
            fps=None if format_ == "npz" else Fraction(25), stride=None if format_ == "npz" else 16, streams=STREAMS
        )
        for item in module.find(path, asked):
            content = item.read()
            rows = [feature_sets.as_matrix(values, str(path), None) for values in content.streams.values()]
            feature_sets.place(len(rows[0]), content, module.LAYOUT, asked, None)

    return read


def _annotations(format_: str) -> Read:
    def read(path: Path) -> None:
        from tal import exports

        for _ in exports.load(format_, "import").read(path, exports.ReadOptions(Fraction(25))):
            pass

    return read


def _tensorflow(path: Path) -> None:
    from extract import tf_checkpoint

    data = path.with_name("model.data-00000-of-00001")
    if not data.exists():
        data.write_bytes(SEEDS["tensorflow data"][0])
    checkpoint = tf_checkpoint.open_checkpoint(path)
    tf_checkpoint.read_variables(checkpoint, {name: name for name in checkpoint.variables})


def _checkpoint(path: Path) -> None:
    from tal.pipeline import foreign_states

    foreign_states.read(path)


def _model(path: Path) -> None:
    from tal import models

    models.identity(path)
    models.load(path)


def _activations(path: Path) -> None:
    from tal.pipeline import guides

    guides.read_activations(path)


def _tensorflow_entry(path: Path) -> None:
    from extract import sstable, tf_checkpoint

    try:
        tf_checkpoint._variable(path.read_bytes())
    except sstable.Unreadable as error:
        raise TalError(str(error)) from error


def _parser(name: str, read: Read, *kinds: str) -> Parser:
    return Parser(name, read, kinds)


PARSERS = {
    "shard": _parser("v.safetensors", _shard, "shard"),
    "labels-csv": _parser("labels.csv", _labels, "labels csv", "truth csv"),
    "truth-csv": _parser("truth.csv", _truth, "truth csv", "labels csv"),
    "labels-json": _parser("labels.json", _labels, "truth json"),
    "truth-json": _parser("truth.json", _truth, "truth json"),
    "truth-thumos14": _parser("annotation/Diving_val.txt", _thumos14, "truth thumos14"),
    "results-json": _parser("results.json", _results, "results json"),
    "results-thumos14": _parser("results.txt", _results, "results thumos14"),
    "config": _parser("config.yaml", _config, "config"),
    "durations-json": _parser("durations.json", _durations, "truth json", "durations json"),
    "durations-csv": _parser("durations.csv", _durations, "durations csv"),
    "durations-text": _parser("durations.txt", _durations, "durations text"),
    "npy": _parser("v.npy", _npy, "npy", "npy objects"),
    "features-npy": _parser("v.npy", _feature_set("npy"), "npy"),
    "features-npz": _parser("v.npz", _feature_set("npz"), "npz"),
    "tensorflow": _parser("model.index", _tensorflow, "tensorflow"),
    "tensorflow-entry": _parser("entry", _tensorflow_entry, "tensorflow entry"),
    **{f"annotations-{name}": _parser(f"v{end}", _annotations(name), name) for name, end in (
        ("cvat", ".xml"), ("elan", ".eaf"), ("fiftyone", ".json"), ("label-studio", ".json"), ("via", ".json"),
        ("vtt", ".vtt"),
    )},
    "activations": _parser("v.safetensors", _activations, "activations"),
    "checkpoint-safetensors": _parser("m.safetensors", _checkpoint, "tensors"),
    "checkpoint-npz": _parser("m.npz", _checkpoint, "tensors npz"),
    "checkpoint-torch": _parser("m.pt", _checkpoint, "torch", "torch legacy"),
    "model": _parser("model.safetensors", _model, "model"),
}  # fmt: skip
NEED_TORCH = ("checkpoint-safetensors", "checkpoint-npz", "checkpoint-torch", "model")
