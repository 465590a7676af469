"""Commands whose arguments are URLs: they get local files, and what they write is sent when they are done.

A command that is given paths alone runs as it is. ``extract`` and ``localize`` take URLs of videos themselves: they
fetch each one when it is its turn. Which other arguments may be URLs stands in `KINDS`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tal.storage import Edge, Kind, Stage

KEEP = "keep"
KINDS: dict[str, dict[str, str]] = {
    "extract": {"videos": KEEP, "out": KEEP},
    "run": {"videos": KEEP, "labels": "in", "annotations": "in", "out": KEEP},
    "train": {"labels": "in", "features": "shards", "runs": "outdir"},
    "localize": {
        **{"videos": KEEP, "model": "run", "features": "shards"},
        **{"output": "out", "activations": "outdir", "report": "out"},
    },
    "status": {"folder": KEEP},
    "evaluate": {"detections": "in", "truth": "in"},
    "diagnose": {"detections": "in", "truth": "in", "plots": "outdir"},
    "compare": {"annotations": "in", "features": "shards"},
    "ablate": {"labels": "in", "annotations": "in", "features": "shards", "runs": "outdir"},
    "reproduce": {"annotations": "in", "features": "shards", "runs": "outdir"},
    "probe": {"videos": "videos"},
    "show": {"truth": "in", "features": "shards", "activations": "in", "png": "out", "svg": "out", "pdf": "out"},
    "report": {
        **{"source": "in", "truth": "in", "videos": "videos", "features": "shards", "activations": "in"},
        **{"model": "run", "output": "out"},
    },
    "export": {"detections": "in"},
    "import_annotations": {"sources": "in", "out": "out"},
    "import_model": {"out": "outdir"},
    "import_features": {
        **{"source": "in", "durations": "in", "names": "in", "annotations": "in", "labels": "in"},
        "out": "outdir",
    },
    "export_features": {"features": "shards", "out": "outdir"},
}
"""Command to its parameters that may be URLs, and what they are, see `tal.storage.Kind`."""


def understood(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that also takes URLs."""

    @wraps(command)
    def run(**given: Any) -> None:
        found = _urls(given)
        if found:
            _run(command, given, found)
        else:
            command(**given)

    return run


def _urls(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are, or hold, URLs: almost always none, which a look at the text tells."""
    return {name: value for name, value in given.items() if any(_is_url(one) for one in _each(value))}


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _is_url(value: Any) -> bool:
    if not isinstance(value, Path) or ":/" not in str(value):
        return False
    from tal.storage.urls import url_of

    return url_of(value) is not None


def _run(command: Callable[..., None], given: dict[str, Any], found: Mapping[str, Any]) -> None:
    from tal.errors import BatchError
    from tal.pipeline.sources import naming
    from tal.storage import Edge

    kinds = _kinds(command.__name__, given, found)
    edge = Edge(_stage(given))
    with ExitStack() as stack:
        stack.callback(edge.close)
        stack.enter_context(naming(edge.stage))
        local = {name: _local(value, kinds[name], edge) for name, value in found.items() if kinds[name] != KEEP}
        stack.enter_context(_renamed(edge.stage))
        try:
            command(**{**given, **local})
        except BatchError:  # the others are done
            edge.send()
            raise
        edge.send()


def _kinds(name: str, given: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, str]:
    """Return what the parameters are.

    Raises:
        ConfigError: If one of them cannot be a URL.
    """
    from tal.errors import ConfigError
    from tal.storage import shown, url_of

    kinds = {"config": "in", **KINDS.get(name, {})}
    if name == "localize" and given.get("report"):
        kinds["videos"] = "videos"  # the page shows them
    for parameter, value in found.items():
        if parameter not in kinds:
            url = next(url for one in _each(value) if (url := url_of(one)))
            raise ConfigError(f"{shown(url)}: '{parameter}' of 'tal {name}' cannot be a URL; name a local path")
    return kinds


def _local(value: Any, kind: str, edge: Edge) -> Any:
    from typing import cast

    from tal.storage import url_of

    places = [edge.local(url, cast("Kind", kind)) if (url := url_of(one)) else one for one in _each(value)]
    return places if isinstance(value, list | tuple) else places[0]


def _stage(given: Mapping[str, Any]) -> Stage:
    """Return the stage that these settings describe."""
    from tal import config
    from tal.cache import default_root
    from tal.pipeline.sources import open_stage

    files = [one for one in given.get("config", ()) if not _is_url(one)]
    sets = [text for text in given.get("sets", ()) if text.startswith("runtime.")]
    return open_stage(given.get("cache") or default_root(), config.load(files=files, sets=sets).runtime)


@contextmanager
def _renamed(stage: Stage) -> Iterator[None]:
    """Have all that is printed call local copies by their addresses."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Renamed(stream, stage) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Renamed:
    """A stream in which local copies are called by their addresses."""

    def __init__(self, stream: TextIO, stage: Stage) -> None:
        self._stream, self._stage = stream, stage

    def write(self, text: str) -> int:
        """Write a text."""
        return self._stream.write(self._stage.named(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
