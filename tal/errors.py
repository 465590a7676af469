"""What can go wrong and be put right by the user.

```
TalError                 one line: what, where, what to do         exit status 1
├── ConfigError          a setting, option or name that is not known   exit status 2
├── InputError           a file of the user's is missing or not what it should be
│   ├── VideoError       a video that cannot be decoded
│   └── AnnotationError  labels, ground truth or detections: file, line or entry, field
├── ShardError           a feature shard is damaged or was made with other settings
├── WeightsError         I3D weights are missing, unknown or damaged
├── ModelError           a trained model that does not fit what it is used with
├── BackendError         a decoder, flow engine or device that this machine lacks
├── StorageError         a disk that is full, read-only or gone
├── RemoteError          an address on the network that cannot be reached, or not be used
└── BatchError           some items of a batch failed, the others are done
```

A broken invariant inside the program is a ``ValueError`` and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TalError(Exception):
    """A problem the user can fix; its text is one line."""

    exit_code = 1


class ConfigError(TalError):
    """A setting, option or name that is not known or not allowed."""

    exit_code = 2


class InputError(TalError):
    """A file of the user's that is missing or not what it should be."""


class VideoError(InputError):
    """A video that cannot be decoded."""


class AnnotationError(InputError):
    """Labels, ground truth or detections that cannot be used as they are."""


class ShardError(TalError):
    """A feature shard that is damaged or was made with other settings."""


class WeightsError(TalError):
    """I3D weights that are missing, unknown or damaged."""


class ModelError(TalError):
    """A trained model that does not fit what it is used with."""


class BackendError(TalError):
    """A decoder, flow engine or device that this machine lacks."""


class StorageError(TalError):
    """A disk that is full, read-only or gone."""


class RemoteError(TalError):
    """An address on the network that cannot be reached, or not be used; other items of a batch go on."""


class BatchError(TalError):
    """Some items of a batch failed; the others are done.

    Attributes:
        failures: Item name to its one-line reason.
    """

    def __init__(self, message: str, failures: dict[str, str]) -> None:
        super().__init__(message)
        self.failures = failures


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or the list of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""
