"""The pictures and the command of the diagnosis: what is written where, and what bad input gets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from annotated import database, entry, write
from diagnosed import Scored, found, studied, video
from matplotlib import rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from small import tal as command

import tal.pipeline
from tal import config
from tal.diagnosis import DiagnoseSettings, Diagnosis
from tal.diagnosis.plots import PICTURES
from tal.errors import StorageError

REAL = [("x", 0.0, 10.0), ("x", 50.0, 90.0), ("y", 100.0, 110.0)]
SCORED: list[Scored] = [("x", 0, 10, 0.9), ("x", 20, 30, 0.8), ("x", 101, 110, 0.7), ("y", 100, 104, 0.6)]


def told(subset: str = "test", duration_s: float | None = 200.0) -> Diagnosis:
    return studied({"v": video(*REAL, duration_s=duration_s, subset=subset)}, {"v": found(*SCORED)})


CASES = {
    "plain": (told(), list(PICTURES)),
    "no detections": (studied([("x", 0, 10)], []), ["false_positives", "sensitivity"]),
    "a long name": (told("x_$" * 80), ["false_positives", "sensitivity"]),
    "many splits": (studied(REAL, [("x", i, i + 5.0, -i) for i in range(60)], n_splits=30), ["false_positives"]),
}


def texts(figure: Figure) -> Iterator[Text]:
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip():
            yield text


@pytest.mark.parametrize(("case", "picture"), [(case, name) for case, (_, names) in CASES.items() for name in names])
def test_no_text_runs_out_of_the_picture(case: str, picture: str) -> None:
    figure = PICTURES[picture](CASES[case][0])
    FigureCanvasAgg(figure).draw()
    shown = list(texts(figure))
    assert shown
    for text in shown:
        box = text.get_window_extent()
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, f"{text.get_text()!r} at {box}"


def test_labels_of_buckets_do_not_overlap() -> None:
    spans = [("x", 100.0 * i, 100.0 * i + 10.123 + i * 1.777) for i in range(11)]
    awkward = studied({"v": video(*spans, duration_s=12345.6)}, {"v": found(*SCORED)}, buckets="quantiles")
    figure = PICTURES["sensitivity"](awkward)
    FigureCanvasAgg(figure).draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) == 11
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


@pytest.mark.parametrize("picture", PICTURES)
def test_every_title_says_what_the_numbers_depend_on(picture: str) -> None:
    title = PICTURES[picture](told()).get_suptitle()
    assert title.splitlines()[-1] == "activitynet protocol, subset test, tIoU 0.5"


def test_bars_are_as_high_as_the_numbers() -> None:
    diagnosis = told()
    (axes,) = PICTURES["false_positives"](diagnosis).axes
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]  # type: ignore[attr-defined]
    assert [sum(column) for column in zip(*heights, strict=True)] == pytest.approx([100] * 3)  # 1G, 2G, all
    (axes,) = PICTURES["gains"](diagnosis).axes
    drawn = [[bar.get_height() for bar in bars] for bars in axes.containers]  # type: ignore[attr-defined]
    assert drawn[0] == pytest.approx([100 * diagnosis.gains.gain(fix)[0] for fix in diagnosis.gains.fixed])
    assert drawn[1] == pytest.approx([100 * diagnosis.gains.gain(fix)[1] for fix in diagnosis.gains.fixed])


# The command


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write detections and ground truth; return their folder."""
    truth = database(v=entry(*REAL, subset="test", duration=200), w=entry(("x", 0, 10), subset="train"))
    listed = [{"label": label, "segment": [a, b], "score": score} for label, a, b, score in SCORED]
    write(tmp_path / "truth.json", truth)
    write(tmp_path / "found.json", {"results": {"v": listed}})
    return tmp_path


def style() -> dict[str, object]:
    return {key: rcParams[key] for key in rcParams if key != "backend"}


def test_the_command_draws_what_the_function_returns(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does so without pyplot, and leaves Matplotlib's style as it was."""
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it fails
    before = style()
    given = ["diagnose", "found.json", "truth.json", "--tiou", "0.3:0.5:0.1", "--buckets", "quantiles"]
    done = command(*given, "--json", "--plots", "why/here", cwd=files, cache=files)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "pictures in why/here")
    assert style() == before
    settings = config.load(options={"evaluate.tiou": "0.3:0.5:0.1"})
    options = DiagnoseSettings(buckets="quantiles")
    same = tal.pipeline.diagnose(files / "found.json", files / "truth.json", settings, options)
    assert json.loads(done.stdout) == same.to_dict()
    assert same.evaluation.tiou == (0.3, 0.4, 0.5)
    folder = files / "why" / "here"
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        f"{p}.{kind}" for p in PICTURES for kind in ("png", "svg")
    )
    for name in PICTURES:
        assert imread(folder / f"{name}.png").std() > 0.05  # not an empty page
        assert ElementTree.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")


def test_the_tables_name_protocol_threshold_and_subset(files: Path) -> None:
    done = command("diagnose", "found.json", "truth.json", cwd=files, cache=files)
    assert done.returncode == 0, done.stderr
    title = "activitynet protocol, subset test, tIoU 0.5"
    assert done.stdout.count(title) == 4
    assert done.stdout.startswith(f"mAP 25.00 %, mAP_N 25.00 %: {title}; 1 videos, 3 instances, 4 detections\n")
    for text in ("double detection", "without missed instances", "coverage", "30 to 60 s", "2G"):
        assert text in done.stdout
    assert "3G" not in done.stdout  # there are no detections so far down


def test_remarks_go_to_stderr(files: Path) -> None:
    truth = database(v=entry(*REAL), u=entry(("x", 0, 10)))
    write(files / "truth.json", truth)
    listed = [{"label": "z", "segment": [0, 10], "score": 1}, {"label": "x", "segment": [0, 10], "score": 1}]
    write(files / "found.json", {"results": {"v": listed, "new": listed}})
    done = command("diagnose", "found.json", "truth.json", cwd=files, cache=files)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[0] == "coverage is left out: the truth gives no durations of videos"
    for start, about in (
        ("found.json: ", "'z' (2)"),
        ("found.json: ", "new"),
        ("found.json: ", "u"),
        ("truth.json: ", ""),
    ):
        assert any(line.startswith(start) and about in line for line in lines[1:]), about


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["none.json", "truth.json"], 1, "none.json"),
        (["found.json", "none.json"], 1, "none.json"),
        (["truth.json", "truth.json"], 1, "truth.json: "),
        (["found.json", "truth.json", "--subset", "tets"], 2, "unknown subset 'tets'; did you mean 'test'?"),
        (["found.json", "truth.json", "--tiou", "2"], 2, "tIoU thresholds lie in (0, 1]"),
        (["found.json", "truth.json", "--videos", "thumos14-21"], 2, "unknown set of videos 'thumos14-21'"),
        (
            ["found.json", "truth.json", "--buckets", "deciles"],
            2,
            "option: buckets: input should be 'activitynet', 'thumos14' or 'quantiles' (got 'deciles')",
        ),
        (["found.json", "truth.json", "--plots", "truth.json"], 1, "cannot write"),
    ],
)
def test_bad_input_gets_one_line(files: Path, arguments: list[str], status: int, message: str) -> None:
    done = command("diagnose", *arguments, cwd=files, cache=files)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("tal: ") and message in done.stderr and done.stderr.count("\n") == 1


def test_pictures_that_cannot_be_written(files: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        tal.pipeline.diagnose(files / "found.json", files / "truth.json", plots=files / "truth.json" / "why")


def test_help_has_examples(tmp_path: Path) -> None:
    done = command("diagnose", "--help", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 0 and "Examples" in done.stdout and "tal diagnose" in done.stdout


def test_without_pictures_matplotlib_is_not_loaded() -> None:
    code = "import sys, tal.diagnosis.plots, tal.pipeline, cli.diagnosing; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
