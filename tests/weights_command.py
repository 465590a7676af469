"""The command `tal weights` in this process."""

from __future__ import annotations

import hashlib
from pathlib import Path

from small import Done
from small import tal as run


def tal(*arguments: object, cwd: Path, **more: str) -> Done:
    done = run("weights", *arguments, cwd=cwd, cache=cwd / "cache", **more)
    assert "Traceback" not in done.stderr
    return done


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
