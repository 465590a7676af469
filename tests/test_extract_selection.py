"""Which videos are worked on: parts, --only, --skip."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faulty import Batch
from hypothesis import given
from hypothesis import strategies as st
from small import tal

from tal.errors import ConfigError, InputError
from tal.pipeline.parts import ONLY, SKIP, Part, Selection, read_patterns

VIDEOS = [Path(f"videos/{name}.mp4") for name in ("cook_1", "cook_2", "run_1", "run [x]")]


def names(selection: Selection) -> list[str]:
    return [path.stem for path in selection.of(VIDEOS)]


@pytest.mark.parametrize(
    ("only", "skip", "expected"),
    [
        (["cook_*"], [], ["cook_1", "cook_2"]),
        (["cook_1.mp4"], [], ["cook_1"]),
        (["videos/run*"], [], ["run_1", "run [x]"]),
        (["run [x]"], [], ["run [x]"]),
        (["*_1", "cook_2"], ["run*"], ["cook_1", "cook_2"]),
        ([], ["*_?"], ["run [x]"]),
        ([], ["*"], []),
        (["COOK_1", "cook_2"], [], ["cook_2"]),
    ],
)
def test_patterns_fit_names_files_and_paths(only: list[str], skip: list[str], expected: list[str]) -> None:
    assert names(Selection(only=tuple(only), skip=tuple(skip))) == expected


@given(st.lists(st.text("ab[]*?!-\\.", min_size=1, max_size=6), min_size=1, max_size=5, unique=True))
def test_a_name_always_fits_itself_and_skip_is_the_rest_of_only(stems: list[str]) -> None:
    videos = [Path("v") / f"x{stem}.mp4" for stem in stems]
    patterns = (f"x{stems[0]}",)
    kept, left = Selection(only=patterns).of(videos), Selection(skip=patterns).of(videos)
    assert videos[0] in kept and sorted([*kept, *left]) == sorted(videos)


@given(st.integers(1, 5), st.sets(st.sampled_from(["cook_1", "run_1"])), st.none() | st.just(frozenset(["cook_1"])))
def test_a_selection_survives_json(count: int, without: set[str], only_names: frozenset[str] | None) -> None:
    one = Selection(Part(0, count), ("a*",), ("b",), only_names, frozenset(without))
    assert Selection.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_exact_names_and_left_out_ones() -> None:
    assert names(Selection(names=frozenset(["cook_1", "run [x]"]), without=frozenset(["cook_1"]))) == ["run [x]"]


def test_only_that_fits_nothing_is_told() -> None:
    with pytest.raises(ConfigError, match=r"--only none\*: fits none of the 4 videos; check the names"):
        names(Selection(only=("none*",)))


def test_files_of_names(tmp_path: Path) -> None:
    listed = tmp_path / "names.txt"
    listed.write_text("\ufeff# broken ones\ncook_1\n\n  run [x]  \n", encoding="utf-8")
    assert read_patterns(SKIP, [f"@{listed}", "z*"]) == ("cook_1", "run [x]", "z*")
    listed.write_text("# nothing\n")
    assert read_patterns(SKIP, [f"@{listed}"]) == ()
    with pytest.raises(InputError, match="no names in it; write one a line"):
        read_patterns(ONLY, [f"@{listed}"])  # else all videos would be meant
    with pytest.raises(InputError, match=r"--only @none: cannot be read \(No such file or directory\)"):
        read_patterns(ONLY, ["@none"])


def test_only_and_skip_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch(tmp_path, monkeypatch)
    batch.add(a1="", a2="", b1="")
    (tmp_path / "skip.txt").write_text("a2\n")
    places = {"cwd": tmp_path, "cache": tmp_path / "cache"}
    some = ["extract", "videos", "--only", "a*", "--skip", "@skip.txt", "--set", "runtime.isolate=none", "--json"]
    done = tal(*some, **places)
    assert done.returncode == 0 and json.loads(done.stdout)["made"] == ["a1"]
    done = tal("extract", "videos", "--only", "c*", **places)
    assert done.returncode == 2 and done.stderr == "tal: --only c*: fits none of the 3 videos; check the names\n"
    done = tal("extract", "videos", "--isolate", "some", **places)
    assert done.returncode == 2 and "runtime.isolate" in done.stderr
