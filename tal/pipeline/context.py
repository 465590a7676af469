"""What every stage needs beside its inputs."""

from __future__ import annotations

from dataclasses import dataclass

from tal import config
from tal.cache import Cache
from tal.progress import Progress, Silent
from tal.settings import Settings


@dataclass(frozen=True)
class Context:
    """Settings, where outputs are kept, and who is told."""

    settings: Settings
    cache: Cache
    progress: Progress


def context(settings: Settings | None, cache: Cache | None, progress: Progress | None) -> Context:
    """Fill in the defaults of a public function."""
    return Context(settings or config.load(), cache or Cache(), progress or Silent())
