"""A folder of videos to be labelled."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

QUICK = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def videos(folder: Path, *names: str) -> Path:
    """Put empty files where videos would be: only their names are read."""
    (folder / "videos").mkdir(exist_ok=True)
    for name in names:
        (folder / "videos" / name).touch()
    return folder / "videos"


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder of three videos."""
    return videos(tmp_path, "a.mp4", "b.avi", "c.mkv")
