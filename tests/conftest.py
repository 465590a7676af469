"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import chance
import pytest
from browser import chromium  # noqa: F401 - a fixture
from ray_made import raylets  # noqa: F401 - a fixture
from small import OPTIONS, Done, World, make_world, tal
from stores import flaky  # noqa: F401 - a fixture

# Compiled once for all tests, those that start the command line anew included.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / ".numba_cache"))
# Several pytest processes share the cores.
if n_processes := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n_processes)))

chance.use_the_same_examples()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests in one process, which shares their fixtures, and all that start Ray, too."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "ray" if "_ray" in file else file

    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin each test, and the fixtures that are made for it, with the same random numbers."""
    chance.start_anew()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real test data beside the checkout; tests that need it skip where it is missing."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs the real test data in ../shared/data")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's cache."""
    monkeypatch.setenv("TAL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Rendered videos; nothing has been done with them yet."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def ran(world: World) -> Done:
    """What ``tal run`` on these videos left behind; its outputs lie in ``out``."""
    data = world.data
    places = ["-l", data.labels, "-a", data.annotations, "-o", world.folder / "out"]
    done = tal("run", data.videos, *places, *OPTIONS, cwd=world.folder, cache=world.cache)
    assert done.returncode == 0, done.stderr
    return done
