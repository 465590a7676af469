"""What the words of a comparison stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tal.errors import ConfigError, InputError
from tal.pipeline.comparison_groups import find_groups


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with runs of several seeds and two detections files."""
    monkeypatch.chdir(tmp_path)
    for name in ("a-seed0", "a-seed2", "a-seed10", "a-lr=1-seed0", "a-lr=1-seed1", "b", "lone-seed3"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "model.safetensors").touch()
    (tmp_path / "runs" / "a-seed3").mkdir()  # no model yet
    (tmp_path / "runs" / "a-seedling").mkdir()
    for name in ("x.json", "y.txt", "notes.md"):
        (tmp_path / name).touch()
    return tmp_path


def names(*arguments: str, **more: bool) -> list[tuple[str, list[str]]]:
    return [(group.name, list(map(str, group.members))) for group in find_groups(arguments, **more)]


SEEDS = ["runs/a-seed0", "runs/a-seed2", "runs/a-seed10"]


@pytest.mark.usefixtures("here")
def test_seeds_by_their_common_name_by_a_pattern_or_one_by_one() -> None:
    expected = [("runs/a", SEEDS)]
    assert names("runs/a") == names("runs/a-seed*") == names("runs/a-seed[0-9]*") == expected
    assert names("runs/a-seed0", "runs/a-seed2/", "runs/a-seed10") == expected


@pytest.mark.usefixtures("here")
def test_a_pattern_over_several_settings_gives_each_its_line() -> None:
    found = dict(names("runs/a-*"))
    assert found == {"runs/a": SEEDS, "runs/a-lr=1": ["runs/a-lr=1-seed0", "runs/a-lr=1-seed1"]}
    assert [name for name, _ in names("*.*")] == ["x.json", "y.txt"]


@pytest.mark.usefixtures("here")
def test_order_is_the_users_and_a_single_seed_keeps_its_name() -> None:
    assert names("x.json", "runs/a-seed2", "runs/b", "runs/a-seed0", "runs/lone-seed3") == [
        ("x.json", ["x.json"]),
        ("runs/a", ["runs/a-seed2", "runs/a-seed0"]),
        ("runs/b", ["runs/b"]),
        ("runs/lone-seed3", ["runs/lone-seed3"]),
    ]
    assert names("runs/lone") == [("runs/lone", ["runs/lone-seed3"])]


@pytest.mark.usefixtures("here")
def test_each_alone() -> None:
    assert names("runs/a", each=True) == [(seed, [seed]) for seed in SEEDS]
    assert names("runs/a-seed0", "runs/a-seed2", each=True) == [(seed, [seed]) for seed in SEEDS[:2]]


@pytest.mark.usefixtures("here")
def test_the_same_twice_is_two_lines() -> None:
    assert names("x.json", "x.json", "x.json") == [
        (name, ["x.json"]) for name in ("x.json", "x.json (2)", "x.json (3)")
    ]
    assert names("runs/a-seed0", "runs/a-seed0") == [
        ("runs/a-seed0", ["runs/a-seed0"]),
        ("runs/a-seed0 (2)", ["runs/a-seed0"]),
    ]


@pytest.mark.usefixtures("here")
def test_named_groups() -> None:
    (group,) = find_groups([], ["mine=runs/a-lr=1, x.json,runs/b"])
    assert (group.name, [str(member) for member in group.members]) == (
        "mine",
        ["runs/a-lr=1-seed0", "runs/a-lr=1-seed1", "x.json", "runs/b"],
    )
    for text in ("mine", "=runs/b", "mine=", "mine= ,"):
        with pytest.raises(ConfigError) as caught:
            find_groups(["x.json"], [text])
        assert str(caught.value) == f"--group '{text}': write NAME=RUN,RUN,..., e.g. --group mine=runs/a,runs/b"


def test_absolute_paths(here: Path) -> None:
    assert names(f"{here}/runs/a-seed?") == [(f"{here}/runs/a", [f"{here}/runs/a-seed0", f"{here}/runs/a-seed2"])]
    assert names(f"{here}/runs/a") == [(f"{here}/runs/a", [f"{here}/{seed}" for seed in SEEDS])]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "text", ["runs", "runs/c", "runs/a-seed3", "runs/z*", "runs/a-seedling", "none/at/all", "notes.*"]
)
def test_what_is_nothing_of_these(text: str) -> None:
    with pytest.raises(InputError) as caught:
        find_groups([text])
    assert str(caught.value) == f"{text}: no run folder, no detections file, and no seeds of a run; check the path"
