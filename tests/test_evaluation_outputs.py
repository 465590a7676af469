"""What an evaluation is shown as: named sets, averages, CSV, LaTeX, remarks, and the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from annotated import database, detections, entry, truth, write
from typer.testing import CliRunner

from cli.app import app
from tal.annotations import Truth, VideoTruth
from tal.config import load
from tal.errors import AnnotationError, ConfigError, TalError
from tal.evaluation import Evaluation, evaluate, videosets
from tal.evaluation.remarks import remarks
from tal.evaluation.tables import columns, latex, rows, to_csv, to_latex
from tal.results import Results
from tal.settings import EvaluateSettings
from tal.settings.evaluation import AVERAGES
from tal.types import Detection, Segment

A, B, FAR = (0, 10), (20, 30), (50, 60)


def judged(tiou: Any = "0.1:0.7:0.1", **options: Any) -> Evaluation:
    """Class x found, class y half found; x overlaps by 0.6."""
    known = Truth({"v": truth([A]), "w": truth([A, B], label="y")})
    found = Results({"v": detections([(0, 6, 0.9)]), "w": detections([(*A, 0.8)], "y")})
    return evaluate(found, known, EvaluateSettings.model_validate({"tiou": tiou, **options}))


# Thresholds and averages


def test_averages_are_over_the_thresholds_they_name() -> None:
    whole = judged()
    assert whole.map.tolist() == [0.75] * 6 + [0.25]
    assert whole.averages == pytest.approx({"0.1:0.5": 0.75, "0.1:0.7": 4.75 / 7, "0.3:0.7": 3.25 / 5})
    assert whole.average == pytest.approx(4.75 / 7)
    assert set(judged("all").averages) == set(AVERAGES)
    assert judged("0.5:0.95:0.05").averages == pytest.approx({"0.5:0.95": (3 * 0.75 + 7 * 0.25) / 10})
    assert judged([0.5, 0.75]).averages == {}


@pytest.mark.parametrize(
    ("tiou", "names"),
    [
        (0.5, ["0.5"]),
        ([0.5, 0.75], ["0.5", "0.75", "average"]),
        ("0.1:0.5:0.1", ["0.1", "0.2", "0.3", "0.4", "0.5", "0.1:0.5"]),
    ],
)
def test_columns_name_what_they_are(tiou: object, names: list[str]) -> None:
    found = judged(tiou)
    assert columns(found) == names
    assert [name for name, _ in rows(found)] == ["mAP", "recall", "x", "y"]
    assert all(len(values) == len(names) for _, values in rows(found))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"protocol": "thumos"}, "option: evaluate.protocol: unknown protocol 'thumos'; did you mean 'thumos14'?"),
        ({"protocol": "co2"}, "known: activitynet, snippet, thumos14, wtalc"),
        ({"tiou": "0.1:0.7"}, "'0.1:0.7' is not a range; write FIRST:LAST:STEP, e.g. 0.1:0.7:0.1"),
        ({"tiou": "0.1:0.7:1e-9"}, "more than 1000 thresholds"),
        ({"tiou": "0.1:nan:0.1"}, "is not a range"),
        ({"tiou": "1.5"}, "tIoU thresholds lie in (0, 1], not '1.5'"),
        ({"tiou": "some"}, "tIoU thresholds lie in (0, 1], not 'some'"),
    ],
)
def test_settings_that_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(options={f"evaluate.{name}": value for name, value in given.items()})
    assert message in str(caught.value) and len(str(caught.value).splitlines()) == 1


# Named sets of videos


def test_blocked_videos_are_left_out_on_both_sides() -> None:
    blocked = "video_test_0001292"
    known = Truth({"v": truth([A]), blocked: truth([B]), "other": truth([A], subset="val")})
    found = Results({"v": detections([(*A, 0.5)]), blocked: detections([(*A, 0.9)])})
    assert evaluate(found, known, EvaluateSettings(subset="test")).average == 1 / 4
    result = evaluate(found, known, EvaluateSettings(videos="thumos14-212"))  # which names the subset, too
    assert (result.average, result.n_videos, result.n_detections) == (1, 1, 1)
    assert (result.blocked, result.extra, result.elsewhere) == ((blocked,), (), ())
    assert result.name == "activitynet protocol, subset test, thumos14-212"


def test_a_blocked_video_is_no_stranger_to_a_truth_without_it() -> None:
    found = Results({"v": detections([(*A, 0.5)]), "video_test_0001496": detections([(*A, 0.9)])})
    assert evaluate(found, Truth({"v": truth([A])}), EvaluateSettings(videos="thumos14-210")).average == 1


def test_shipped_sets_are_nested() -> None:
    small, large = videosets.named("thumos14-210"), videosets.named("thumos14-212")
    assert small.blocked > large.blocked
    assert small.n_videos + len(small.blocked) == large.n_videos + len(large.blocked) == 213
    with pytest.raises(ConfigError, match="unknown set of videos 'thumos14-211'; did you mean 'thumos14-21"):
        videosets.named("thumos14-211")


# Remarks


def test_remarks_say_what_is_missing_unknown_and_left_out() -> None:
    known = Truth(
        {
            "a": VideoTruth(20.0, "test", truth([A]).instances, (Segment(50, 55),)),
            "b": truth([(5, 5)]),
            "c": truth([A], subset="val"),
        }
    )
    late = detections([(15, 20.05, 0.5), (15, 25, 0.5), (52, 60, 0.5)])
    found = Results({"a": late + detections([(*A, 0.1)], "jump"), "c": (), "zoo": detections([(*A, 0.1)])})
    result = evaluate(found, known, EvaluateSettings(protocol="wtalc", subset="test"))
    assert remarks(result, "p.json", "t.json") == [
        "p.json: 1 detection of labels that the truth does not know, not counted: 'jump' (1)",
        "p.json: 1 video of 2 evaluated without an entry: b",
        "p.json: 1 video unknown to the truth, whose detections count as false positives: zoo",
        "p.json: 1 video of other subsets left out: c",
        "p.json: 2 detections past the end of the video, kept: a (2)",
        "p.json: 1 detection in ambiguous time: removed",
        "t.json: 1 instance without length after rounding to snippets: nothing can match",
        "t.json: 1 of 2 videos without a duration: detections past their end are not told",
    ]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, "p: no detections in the evaluated videos: every figure is 0"),
        ({"v": ()}, "p: no detections in the evaluated videos: every figure is 0"),
        (
            {"v": detections([(*A, 1.0)], "Diving")},
            "p: none of the 1 detections has a label of the truth: every figure",
        ),
        ({"w": detections([(*A, 1.0)], "diving")}, "p: names none of the evaluated videos: it has 'w', the truth 'v'"),
    ],
)
def test_a_zero_is_never_silent(found: dict[str, tuple[Detection, ...]], expected: str) -> None:
    result = evaluate(Results(found), Truth({"v": truth([A], label="diving")}))
    assert result.average == 0
    assert remarks(result, "p")[0].startswith(expected)


def test_segments_past_the_end_of_the_video_are_kept_and_told() -> None:
    known = Truth({"v": VideoTruth(15.0, "test", truth([A, (12, 20)]).instances)})
    found = Results({"v": detections([(*A, 0.9), (12, 20, 0.8), (100, 110, 0.7)])})
    result = evaluate(found, known)
    assert result.ap.tolist() == [[1] * 7]
    assert (result.beyond, result.n_late_instances) == ({"v": 2}, 1)
    assert remarks(result) == [
        "results: 2 detections past the end of the video, kept: v (2)",
        "truth: 1 instance past the end of the video, kept",
    ]


def test_a_label_in_another_spelling_is_suggested() -> None:
    result = evaluate(Results({"v": detections([(*A, 1.0)], "Divng")}), Truth({"v": truth([A], label="Diving")}))
    assert remarks(result)[1] == (
        "results: 1 detection of labels that the truth does not know, not counted: 'Divng' (1); did you mean 'Diving'?"
    )


@pytest.mark.parametrize(("protocol", "told"), [("activitynet", False), ("thumos14", True), ("snippet", True)])
def test_truth_without_ambiguous_time_is_told_where_it_matters(protocol: str, told: bool) -> None:
    lines = remarks(judged(protocol=protocol))
    assert told == any(f"no ambiguous time, which {protocol} leaves out" in line for line in lines)


def test_a_set_that_the_truth_does_not_hold_is_told() -> None:
    expected = "truth: thumos14-210 has 210 videos and 3311 instances, this truth 2 and 3"
    assert expected in remarks(judged(videos="thumos14-210"))


# Forms


def test_csv_says_protocol_subset_and_videos_on_every_line() -> None:
    found = judged([0.5, 0.7], protocol="thumos14", videos="thumos14-212")
    table = list(csv.DictReader(to_csv(found).splitlines()))
    assert {(row["protocol"], row["subset"], row["videos"]) for row in table} == {("thumos14", "test", "thumos14-212")}
    values = {(row["metric"], row["label"], row["tiou"]): float(row["value"]) for row in table}
    assert values["mAP", "", "0.5"] == 0.75
    assert values["AP", "x", "0.7"] == 0
    assert values["AP", "y", "average"] == 1 / 2
    assert values["recall", "", "0.7"] == 1 / 4
    assert values["video mAP", "", ""] == 1
    assert values["frame accuracy", "", ""] == pytest.approx((6 + 10) / 30)
    assert len(values) == len(table) == 3 * 2 + 3 * 4 + 1 + 2 + 1


def test_latex_needs_no_package_and_escapes() -> None:
    known = Truth({"v": truth([A], label="a_b & 50% {c}\n^~\\")})
    text = to_latex(evaluate(Results({"v": detections([(*A, 0.9)])}), known, EvaluateSettings(tiou=(0.5,))))
    assert text.splitlines() == [
        "% activitynet protocol, subset test: 1 videos, 1 instances; AP and recall in %",
        "% activitynet: video mAP 0.0, frame accuracy 0.0",
        r"\begin{tabular}{lr}",
        r"\hline",
        r"activitynet (\%) & 0.5 \\",
        r"\hline",
        r"mAP & 0.0 \\",
        r"recall & 0.0 \\",
        r"\hline",
        r"a\_b \& 50\% \{c\} \textasciicircum{}\textasciitilde{}\textbackslash{} & 0.0 \\",
        r"\hline",
        r"\end{tabular}",
    ]
    assert latex("$#") == r"\$\#"


# The command


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    label = {"label": "x", "segment": [0, 6], "score": 0.9}
    found = write(tmp_path / "p.json", {"results": {"v": [label], "u": [label]}})
    real = write(tmp_path / "t.json", database(v=entry(("x", 0, 10), subset="test"), w=entry(subset="test")))
    return [str(found), str(real)]


def test_the_command_prints_a_table_and_remarks(files: list[str]) -> None:
    done = CliRunner().invoke(app, ["evaluate", *files, "-p", "wtalc", "--tiou", "0.5"])
    assert done.exit_code == 0
    assert "wtalc protocol, subset test: 2 videos, 1 instances" in " ".join(done.stdout.split())
    assert (
        done.stdout.strip().splitlines()[-1] == "wtalc protocol, subset test: video mAP 50.00 %, frame accuracy 60.00 %"
    )
    assert f"{files[0]}: 1 video of 2 evaluated without an entry: w" in done.stderr
    assert f"{files[0]}: 1 video unknown to the truth" in done.stderr


def test_wide_tables_are_split(files: list[str]) -> None:
    done = CliRunner().invoke(app, ["evaluate", *files, "--tiou", "all"])
    assert done.stdout.count("activitynet protocol, subset test: 2 videos") == 2
    assert "0.5:0.95" in done.stdout and "…" not in done.stdout


def test_the_command_prints_other_forms(files: list[str]) -> None:
    tree = json.loads(CliRunner().invoke(app, ["evaluate", *files, "--json"]).stdout)
    assert (tree["protocol"], tree["map"][4], tree["missing"]) == ("activitynet", 0.5, ["w"])
    assert CliRunner().invoke(app, ["evaluate", *files, "--csv"]).stdout.startswith("protocol,subset,videos,metric")
    assert CliRunner().invoke(app, ["evaluate", *files, "--latex"]).stdout.startswith("% activitynet protocol")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--json", "--csv"], "several forms of output; choose one of --json, --csv and --latex"),
        (["--videos", "thumos-210"], "unknown set of videos 'thumos-210'; did you mean 'thumos14-210'?"),
        (
            ["--protocol", "wtlc"],
            "option: evaluate.protocol: unknown protocol 'wtlc'; did you mean 'wtalc'? (got 'wtlc')",
        ),
        (["--subset", "tset"], "unknown subset 'tset'; did you mean 'test'?"),
    ],
)
def test_the_command_refuses(files: list[str], options: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["evaluate", *files, *options])
    assert isinstance(done.exception, TalError)
    assert str(done.exception) == message


BAD = {
    '{"results": {"v": [{"label": "x", "segment": ["0", 1], "score": 1}]}}': "p.json, results.v[0].segment: expected a",
    '{"results": {"v": [{"label": "x", "segment": [0, 1], "score": NaN}]}}': "p.json, results.v[0].score: expected a",
    '{"results": {"v": [], "v": []}}': "p.json: the key 'v' occurs twice in one object",
    '{"database": {"v": []}}': "p.json: ground truth where detections were expected",
    "[]": "p.json: expected an object, found []",
}


@pytest.mark.parametrize("text", BAD)
def test_the_command_names_file_and_entry_of_what_is_wrong(files: list[str], text: str) -> None:
    write(Path(files[0]), text)
    done = CliRunner().invoke(app, ["evaluate", *files])
    assert isinstance(done.exception, AnnotationError)
    assert BAD[text] in str(done.exception) and len(str(done.exception).splitlines()) == 1
