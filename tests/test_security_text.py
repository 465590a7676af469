"""Text made to do harm: YAML that explodes or builds objects, JSON and CSV that make a reader fall, hang or guess."""

from __future__ import annotations

import json
from pathlib import Path

import bounded
import pytest
from bounded import refused

from tal import config, strict_yaml
from tal.annotations import read_labels, read_truth
from tal.errors import AnnotationError, ConfigError
from tal.feature_sets import read_durations
from tal.results import read_results

limits = bounded.limits  # a fixture that every test uses


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "line 6: not YAML: more than 100000 values, aliases counted"),
        ("a: &a [*a]", "line 1: not YAML: an alias that holds itself"),
        ("a: " + "[" * 60 + "]" * 60, "line 1: not YAML: nested more than 50 deep"),
        ("a: " + "{b: " * 60 + "}" * 60, "line 1: not YAML: nested more than 50 deep"),
        ("- " * 3000, "line 1: not YAML: nested more than 50 deep"),
        ("train:\n  lr: 1\n  lr: 2\n", "line 3: not YAML: the key 'lr' stands twice"),
        ("a: !!python/object/apply:os.system ['true']", "not YAML: could not determine a constructor for the tag"),
        ("a: !!python/name:os.system", "not YAML: could not determine a constructor for the tag"),
        ("a: " + "9" * 5000, "line 1: not YAML: a number of 5000 characters"),
        ("a: 2024-99-99", "not YAML: a value that is not what its form promises"),
        ("a: !!int ''", "not YAML: a value that is not what its form promises"),
        ("a: !!bool x", "not YAML: a value that is not what its form promises"),
        ("a: !!timestamp x", "not YAML: a value that is not what its form promises"),
        ("a: b\x00", "line 1: not YAML: a character that is not allowed (#x0000)"),
        ("a\n---\nb", "not YAML: but found another document"),
        ("#" * (1 << 21), "not YAML: 2097152 characters, where 1048576 are read"),
        ("train: *t", "line 1: not YAML: found undefined alias 't'"),
    ],
)
def test_yaml_that_would_do_harm_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    said = refused(ConfigError, lambda: config.load(files=[path]))
    assert said.startswith(str(path)) and told in said


def test_yaml_of_people_is_read() -> None:
    text = "base: &b {lr: 1e-3, steps: 5}\nmore: {<<: *b, steps: 6}\nlist: [1, 2.5, true, null, 'x', 0x10]\n"
    assert strict_yaml.parse(text) == {
        "base": {"lr": "1e-3", "steps": 5},
        "more": {"lr": "1e-3", "steps": 6},
        "list": [1, 2.5, True, None, "x", 16],
    }


@pytest.mark.parametrize("value", ["2024-99-99", "[" * 60, "!!int ''", "&a [*a]", "9" * 5000])
def test_options_are_read_as_strictly(value: str) -> None:
    refused(ConfigError, lambda: config.load(sets=[f"train.lr={value}"]))


@pytest.mark.parametrize("value", ["1e9999999999", "1e-9999999999", "9" * 300 + "/1"])
def test_rates_that_take_forever_are_refused(value: str) -> None:
    refused(ConfigError, lambda: config.load(sets=[f"extract.fps='{value}'"]))


DETECTION = '{"label": "a", "segment": [0, 1], "score": %s}'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"results": {"v": [], "v": []}}', "the key 'v' occurs twice in one object"),
        ('{"results": {"v": [' + DETECTION % "NaN" + "]}}", "expected a number, found nan"),
        ('{"results": {"v": [' + DETECTION % "-Infinity" + "]}}", "expected a number, found -inf"),
        ('{"results": {"v": [' + DETECTION % "1e999" + "]}}", "expected a number, found inf"),
        ('{"results": {"v": [' + DETECTION % ("9" * 5000) + "]}}", "not JSON that can be read"),
        ('{"results": {"v": [' + DETECTION % ("9" * 4000) + "]}}", "expected a number, found 9999999999"),
        ('{"results": {"v": ' + "[" * 100_000, "not JSON that can be read"),
        ('{"results": {"' + "v" * 1001 + '": []}}', "a text of 1001 characters"),
    ],
)
def test_json_that_would_do_harm_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    assert told in refused(AnnotationError, lambda: read_results(path))


def test_a_name_that_comes_twice_among_thousands_is_found_at_once(tmp_path: Path) -> None:
    """In time that grows with the file; comparing each with each would take hours."""
    path = tmp_path / "r.json"
    keys = [f'"v{n}": []' for n in range(50_000)]
    path.write_text('{"results": {' + ", ".join([*keys, keys[-1]]) + "}}")
    assert "the key 'v49999' occurs twice" in refused(AnnotationError, lambda: read_results(path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("video,label\nv,\0\n", None),
        ("video,label\nv," + "a" * 200_000 + "\n", "not CSV (field larger than field limit (131072))"),
        ("video,label\nv," + "a" * 1001 + "\n", "a text of 1001 characters"),
        ("video,label" + ",x" * 2000 + "\nv,a\n", "2002 columns; write at most 1000"),
        ('sep="\nvideo"label\n', "no column 'video'"),
        ('video,label\n"v,a\n', "not CSV (unexpected end of data)"),
    ],
)
def test_csv_that_would_do_harm_is_refused(text: str, told: str | None, tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text(text)
    if told is None:
        try:
            read_labels(path)
        except AnnotationError as error:  # CSV of Python 3.10 knows no NUL
            assert len(str(error).splitlines()) == 1
        return
    assert told in refused(AnnotationError, lambda: read_labels(path))


def test_a_line_of_commas_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "durations.txt"
    path.write_text("," * 1_000_000 + "x\n12\nv, 3\n")
    assert read_durations(path)["v"].seconds == 3


def test_text_that_is_no_unicode_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(b'{"database": "\xff"}')
    assert "not UTF-8 (byte 14)" in refused(AnnotationError, lambda: read_truth(tmp_path / "t.json"))
    refused(AnnotationError, lambda: read_results(tmp_path))


def test_labels_do_not_leave_the_pages_data() -> None:
    """What could end a script element, or begin a comment in it, is escaped; the value is the same."""
    from tal.report.payload import script_json

    value = {"label": "</script><!--<script>alert(1)</script>\u2028\u2029&"}
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text) and json.loads(text) == value
