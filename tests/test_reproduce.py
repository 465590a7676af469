"""Reproductions: what the stages give, over seeds and last states, what is missing, what the command prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import tiny_dataset
from planted import Listener
from small import tal as command
from tiny_dataset import NAMES, VIDEOS, Copy, install, right_counts, row, write_shards, write_truth
from typer.testing import CliRunner

import tal
from tal import config, datasets
from tal.annotations import Truth
from tal.cache import Cache
from tal.datasets import truths
from tal.errors import ConfigError, InputError
from tal.pipeline import Reproduction, reproduce
from tal.pipeline.context import context
from tal.pipeline.localizing import localize_shards
from tal.pipeline.reproducing import averaged, truth_of
from tal.pipeline.reproduction_rows import schedule
from tal.results import Results
from tal.settings import TrainSettings

QUICK = ["method.hidden=8", "train.steps=40", "train.batch_size=4", "train.n_snippets=20", "train.lr=1e-2"]
QUICK += ["runtime.device=cpu", "localize.rule=max", "localize.thresholds=[0.6]"]
OPTIONS = [part for text in QUICK for part in ("--set", text)]


made, data = tiny_dataset.made, tiny_dataset.data  # fixtures


def run(data: Copy, *sets: str, **more: Any) -> Reproduction:
    settings = config.load(sets=[*QUICK, *sets])
    return reproduce("tiny", data.root, settings, cache=Cache(data.cache), **{"n_seeds": 2, **more})


def of_set(results: Results, names: Sequence[str]) -> Results:
    return Results({name: results.by_video[name] for name in names})


def test_numbers_are_those_of_the_stages_one_by_one(data: Copy, tmp_path: Path) -> None:
    """Train, localize with each of the last three states, evaluate: mean over states, one number per seed."""
    truth = tal.annotations.read_truth(data.root / "truth.json")  # type: ignore[attr-defined]
    labels = truths.labels_of(truth, "train")
    expected: dict[tuple[str, str], list[float]] = {}
    for seed in (0, 1):
        last = ["train.last=3", "train.last_every=2", f"train.seed={seed}"]
        settings, cache = config.load(sets=[*QUICK, *last]), Cache(tmp_path)
        made = tal.train(data.root / "features", labels, settings, runs=tmp_path / "runs", cache=cache)
        states = [*(made.path / "last").glob("*.safetensors"), made.model]
        assert len(states) == 3
        files = {name: data.root / "features" / f"{name}.safetensors" for name in NAMES["test"]}
        found = [localize_shards(files, state, context(settings, cache, None))[0] for state in states]
        for protocol, names in (("activitynet", 3), ("activitynet", 2), ("thumos14", 3)):
            chosen = NAMES["test"][:names]
            wanted = Truth({name: truth.videos[name] for name in chosen})
            at = config.load(sets=[f"evaluate.protocol={protocol}", "evaluate.tiou=0.5"])
            maps = [100 * tal.evaluate(of_set(one, chosen), wanted, at).map[0] for one in found]
            expected.setdefault((protocol, f"tiny-{names}"), []).append(fmean(maps))
    report = run(data)
    assert {(one.protocol, one.videos): list(one.at(0.5)) for one in report.counted} == {
        key: pytest.approx(values) for key, values in expected.items()
    }
    assert (report.seeds, report.n_states, report.n_trained, report.missing) == ((0, 1), 3, 6, ())
    assert max(max(one.at(0.5)) for one in report.counted) > 20  # the planted actions are found at all


def test_each_row_is_beside_its_own_protocol_and_videos(data: Copy) -> None:
    report = run(data)
    ways = {one.row.title: (one.ours.protocol, one.ours.videos) for one in report.rows}
    assert ways == {
        "paper": ("activitynet", "tiny-3"),
        "code": ("activitynet", "tiny-2"),
        "kit": ("thumos14", "tiny-3"),
        "vague": ("activitynet", "tiny-3"),
    }
    assert len(report.counted) == 3
    features = "features may differ: i3d, 25 fps, stride 16 there"
    differs = {one.row.title: one.differs for one in report.rows}
    assert differs["paper"] == (features,)
    assert differs["vague"] == (
        "published by a protocol that is not stated, counted here by activitynet",
        "published on videos that are not stated, counted here on tiny-3",
        features,
    )
    assert report.nearest is not None and report.nearest.row.title == "code"
    assert report.verdict == report.nearest.words and report.schedule == "changed"


def test_annotations_without_a_published_video_are_named(data: Copy, tmp_path: Path) -> None:
    entries = json.loads((data.root / "truth.json").read_text())["database"]
    del entries["clip_test_03"]
    path = write_truth(tmp_path / "truth.json", entries)
    report = run(data, annotations=path, n_seeds=1)
    assert {(one.protocol, one.videos) for one in report.counted} == {("activitynet", "tiny-2"), ("thumos14", "tiny-2")}
    assert "published on tiny-3, counted here on tiny-2" in report.rows[0].differs


def test_of_several_annotations_those_with_ambiguous_segments_tell(data: Copy, tmp_path: Path) -> None:
    entries = json.loads((data.root / "truth.json").read_text())["database"]
    more = {name: entries[name] for name in NAMES["test"]}
    ambiguous = {"label": "Ambiguous", "segment": [0, 1]}
    more["clip_test_02"] = {**more["clip_test_02"], "annotations": [*more["clip_test_02"]["annotations"], ambiguous]}
    for first, second in (("truth_1", "truth_2"), ("truth_2", "truth_1")):
        write_truth(tmp_path / f"{first}.json", entries)
        write_truth(tmp_path / f"{second}.json", more)
        found = truth_of(tmp_path, datasets.load("tiny"))
        assert set(found.videos) == set(VIDEOS)
        assert [name for name, video in found.videos.items() if video.ambiguous] == ["clip_test_02"]


def test_a_method_that_nobody_published(data: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    install(data.described, monkeypatch, rows=[row("theirs", method="others")])
    report = run(data, n_seeds=1)
    assert report.verdict == "nothing was published of stpn on TINY; the rows are of other methods"
    install(data.described, monkeypatch, rows=[row("theirs", method="ecm")])
    report = run(data, n_seeds=1)
    assert report.verdict == "nothing was published of stpn on TINY"
    assert [(one.protocol, one.videos) for one in report.counted] == [("activitynet", "tiny-3")]


def test_what_is_kept_is_not_trained_again_and_seeds_follow_the_first(data: Copy, tmp_path: Path) -> None:
    run(data)
    listener = Listener()
    report = run(data, "train.seed=1", n_seeds=1, progress=listener, runs=tmp_path)
    assert "updates" not in [unit for _, _, unit in listener.tasks]
    assert report.seeds == (1,) and (tmp_path / "stpn-1" / "model.safetensors").is_file()
    assert report.counted[0].at(0.5)[0] == run(data).counted[0].at(0.5)[1]


def test_the_last_states_are_averaged_unless_asked_otherwise() -> None:
    usual, asked = config.load(), config.load(sets=["train.last=5", "train.last_every=7"])
    assert (averaged(usual).train.last, averaged(usual).train.last_every) == (3, usual.train.steps // 20)
    assert averaged(asked) == asked
    assert isinstance(averaged(usual).train, TrainSettings)


def test_published_settings_are_known_as_such(data: Copy) -> None:
    assert schedule(averaged(config.load("stpn", dataset="thumos14")), "thumos14") == "published for thumos14"
    assert schedule(averaged(config.load("stpn", sets=["train.seed=4"])), "thumos14") == "shipped"
    assert schedule(config.load("stpn", sets=["localize.nms=0.4"]), "thumos14") == "changed"


@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        (
            "clip_train_02.safetensors",
            "no features of 1 training videos, such as 'clip_train_02'; 'tal data check tiny",
        ),
        ("clip_test_*.safetensors", "no features of test videos; 'tal data check' says what is there"),
        ("*.safetensors", "no shards of TINY; run 'tal extract' or 'tal import-features' first"),
    ],
)
def test_features_that_are_not_there(data: Copy, tmp_path: Path, breaking: str, message: str) -> None:
    write_shards(tmp_path / "features", right_counts())
    write_truth(tmp_path / "truth.json", json.loads((data.root / "truth.json").read_text())["database"])
    for path in (tmp_path / "features").glob(breaking):
        path.unlink()
    with pytest.raises(InputError) as error:
        reproduce("tiny", tmp_path, config.load(sets=QUICK))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_what_cannot_be_used_is_told(data: Copy, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^no description of a data set 'tin'; did you mean 'tiny'\?$"):
        reproduce("tin", data.root)
    with pytest.raises(ConfigError, match=r"^0 seeds; train with one at least$"):
        run(data, n_seeds=0)
    with pytest.raises(InputError, match="annotations of both splits are needed, found none; name them with --annota"):
        run(data, annotations=data.root / "features")
    write_shards(tmp_path / "one", right_counts())
    write_shards(tmp_path / "two", right_counts(), claimed_fps=Fraction(30))
    write_truth(tmp_path / "truth.json", json.loads((data.root / "truth.json").read_text())["database"])
    with pytest.raises(InputError, match=r"several collections of features \(one, two\); name one of them$"):
        reproduce("tiny", tmp_path, config.load(sets=QUICK))


def test_the_command(data: Copy, tmp_path: Path) -> None:
    places = ["--features", data.root, "--seeds", 2, "--dataset-settings", "shipped", "-q"]
    done = command("reproduce", "tiny", *places, *OPTIONS, cwd=tmp_path, cache=data.cache)
    assert done.returncode == 0, done.stderr
    assert "stpn on TINY, changed settings, 40 updates" in done.stdout
    cells = [line.split("│")[1:3] for line in done.stdout.splitlines() if line.startswith("│")]
    shown = [tuple(cell.strip() for cell in one) for one in cells]
    assert shown == [
        ("ours", "activitynet, tiny-3"),
        ("paper (paper)", "activitynet, tiny-3"),
        ("vague (paper)", "not stated, not stated"),
        ("ours", "activitynet, tiny-2"),
        ("code (public code)", "activitynet, tiny-2"),
        ("ours", "thumos14, tiny-3"),
        ("kit (paper)", "thumos14, tiny-3"),
    ]
    assert "features here: generator planted, 25 fps, stride 16, rgb 12-d + flow 12-d" in done.stdout
    report = run(data)
    assert f"verdict: {report.verdict}\nrule: mAP at tIoU 0.5" in done.stdout
    assert done.stderr == "2 seeds, 3 last states each; 6 training videos\n"
    done = command("reproduce", "tiny", *places, *OPTIONS, "--json", cwd=tmp_path, cache=data.cache)
    tree = json.loads(done.stdout)
    assert tree == json.loads(json.dumps(report.to_dict()))
    assert tree["rows"][0]["verdict"]["word"] in {"within", "above", "below"}


def test_published_settings_must_be_there(data: Copy, tmp_path: Path) -> None:
    done = command("reproduce", "tiny", "-f", data.root, cwd=tmp_path, cache=data.cache)
    assert done.returncode == 2 and done.stderr.startswith("tal: no settings of stpn for a data set 'tiny'")


def test_help_has_examples() -> None:
    from cli.app import app

    shown = CliRunner().invoke(app, ["reproduce", "--help"]).stdout
    assert "Examples:" in shown and "tal reproduce thumos14 --method stpn" in shown
