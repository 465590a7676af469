"""What every stage needs beside its inputs."""

from __future__ import annotations

from dataclasses import dataclass

from tal import config
from tal.cache import Cache
from tal.progress import Progress, Silent
from tal.settings import RuntimeSettings, Settings
from tal.storage import Patience


@dataclass(frozen=True)
class Context:
    """Settings, where outputs are kept, and who is told."""

    settings: Settings
    cache: Cache
    progress: Progress


def context(settings: Settings | None, cache: Cache | None, progress: Progress | None) -> Context:
    """Fill in the defaults of a public function."""
    return Context(settings or config.load(), cache or Cache(), progress or Silent())


def patience_of(runtime: RuntimeSettings) -> Patience:
    """Return how long stores, disks and mounted folders are given."""
    return Patience(runtime.retries, stall_s=runtime.stall_s)
