"""The page on the Python API: it names every public function, and its examples run one after the other."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from small import SETS, Done, World

import tal

PAGE = (Path(__file__).parents[1] / "docs/api.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?P<needs><!-- needs [^>]* -->\n)?```python\n(?P<code>.*?)```", re.DOTALL)


def as_tree(sets: list[str]) -> dict[str, Any]:
    """``a.b=1`` texts as a tree of settings."""
    tree: dict[str, Any] = {}
    for text in sets:
        key, _, value = text.partition("=")
        section, name = key.split(".")
        tree.setdefault(section, {})[name] = yaml.safe_load(value)
    return tree


def test_every_function_has_a_section_with_an_example() -> None:
    functions = [name for name in tal.__all__ if inspect.isfunction(getattr(tal, name))]
    assert len(functions) > 15
    for name in functions:
        section = re.search(rf"^###? tal\.{name}\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
        assert section and re.search(rf"\b{name}\(", section[1]), name


@pytest.mark.usefixtures("ran")
def test_the_examples_run(ran: Done, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ran.returncode == 0
    (tmp_path / "videos").symlink_to(world.data.videos)
    shutil.copytree(world.folder / "out" / "features", tmp_path / "features")
    for path in (world.data.labels, world.data.annotations):
        shutil.copy(path, tmp_path / path.name)
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(as_tree(SETS)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAL_CACHE", str(world.cache))
    known: dict[str, Any] = {"__name__": "page"}
    for block in BLOCK.finditer(PAGE):
        if not block["needs"]:
            exec(compile(block["code"], f"docs/api.md: {block['code'][:60]!r}", "exec"), known)
    assert len(known["results"].videos) == 10
    assert known["evaluation"].n_videos == 5
    assert known["best"].provenance["narrowed"] == [{"above": 0.0}, {"only": ["jump", "wave"]}, {"top": 3}]
    assert not known["imported"].failures
    assert (tmp_path / "report.html").is_file() and (tmp_path / "detections.csv").is_file()
    assert known["truth"].classes == known["best"].labels
