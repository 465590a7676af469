"""The command `tal probe` in this process, and what it lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from small import Done, tal


def run(*arguments: object, cwd: Path) -> Done:
    return tal("probe", *arguments, cwd=cwd, cache=cwd)


def listed(*arguments: object, cwd: Path, status: int = 0) -> list[dict[str, Any]]:
    """What it lists as JSON, having seen how it ends."""
    done = run("--json", *arguments, cwd=cwd)
    assert done.returncode == status, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found
