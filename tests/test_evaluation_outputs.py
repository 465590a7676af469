"""What an evaluation is shown as: averages, columns, CSV and LaTeX."""

from __future__ import annotations

import csv

import pytest
from annotated import A, detections, judged, truth

from tal.annotations import Truth
from tal.config import load
from tal.errors import ConfigError
from tal.evaluation import evaluate
from tal.evaluation.tables import columns, latex, rows, to_csv, to_latex
from tal.results import Results
from tal.settings import EvaluateSettings
from tal.settings.evaluation import AVERAGES

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
