"""Ablations that are run: they give what the pipeline gives, seeds are averaged, one bad row stops nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import ablated
import pytest
from ablated import QUICK, Data, write_table
from planted import Killed, Listener
from small import tal as command
from typer.testing import CliRunner

import tal
from tal import config
from tal.cache import Cache
from tal.errors import ConfigError, InputError
from tal.pipeline.context import context
from tal.pipeline.localizing import localize_shards

data, own_tables = ablated.data, ablated.own_tables  # fixtures


def test_rows_give_what_the_stages_give_one_by_one(data: Data, tmp_path: Path) -> None:
    report = data.ablate(rows=["figure 6"], runs=tmp_path / "models")
    (table,) = report.tables
    for row, fusion in zip(table.rows, ("rgb", "flow", "late"), strict=True):
        settings = config.load(sets=[*QUICK, f"train.fusion={fusion}"])
        run = tal.train(data.features, data.labels, settings, runs=tmp_path, cache=Cache(tmp_path / "other"))
        videos = {f"v{i:02}": data.features / f"v{i:02}.safetensors" for i in range(8, 14)}
        ctx = context(settings, Cache(tmp_path / "other"), None)
        found = tal.evaluate(localize_shards(videos, run.path, ctx)[0], data.truth, settings)
        assert row.map == pytest.approx([found.map[found.tiou.index(0.5)]])
        assert row.average == pytest.approx([found.average])
        assert (tmp_path / "models" / f"{row.row.name}-0" / "model.safetensors").is_file()
    assert max(row.average[0] for row in table.rows) > 0.3  # the planted actions are found at all


def test_what_is_trained_on_and_what_is_judged(data: Data) -> None:
    report = data.ablate(rows=["full"])
    assert (report.method, report.subset, report.n_trained, report.n_evaluated) == ("stpn", "test", 8, 6)
    assert report.missing == ("unseen",)
    with pytest.raises(ConfigError, match="unknown subset 'tests'"):
        data.ablate("evaluate.subset=tests")
    with pytest.raises(InputError, match=r"no features of the videos of subset 'test'; run 'tal extract' on them$"):
        tal.ablate(data.labels.parent, data.labels, data.truth, config.load(sets=QUICK))
    with pytest.raises(ConfigError, match=r"^0 seeds; train with one at least$"):
        data.ablate(n_seeds=0)


def test_the_protocol_is_the_papers_unless_one_is_asked_for(data: Data, own_tables: Path) -> None:
    write_table(own_tables, {"name": "full"}, protocol="thumos14", tiou=[0.3, 0.65])
    assert data.ablate().tables[0].protocol == "thumos14"
    (asked,) = data.ablate("evaluate.protocol=activitynet").tables
    assert asked.protocol == "activitynet" and asked.table.protocol == "thumos14"


def test_seeds_are_averaged(data: Data) -> None:
    (table,) = data.ablate("train.seed=3", rows=["rgb"], n_seeds=2).to_dict()["tables"]
    (row,) = table["rows"]
    alone = [data.ablate(f"train.seed={seed}", rows=["rgb"]).tables[0].rows[0].map[0] for seed in (3, 4)]
    assert row["map"] == pytest.approx(alone)
    assert row["mean"] == pytest.approx(sum(alone) / 2)
    assert row["deviation"] == pytest.approx(abs(alone[0] - alone[1]) / math.sqrt(2))
    assert data.ablate(rows=["rgb"]).tables[0].rows[0].deviation is None


def test_an_interrupted_ablation_goes_on(data: Data, tmp_path: Path) -> None:
    stopped, second = Listener(kill_at=30), Listener()  # rgb takes 12 updates, flow 12, full 24
    with pytest.raises(Killed):
        data.ablate(rows=["figure 6"], cache=tmp_path, progress=stopped)
    report = data.ablate(rows=["figure 6"], cache=tmp_path, progress=second)
    assert [title for title, _, unit in second.tasks if unit == "updates"] == ["train rgb", "train flow"]
    assert "from checkpoint" in second.notes
    undisturbed = data.ablate(rows=["figure 6"])
    assert report.to_dict() == undisturbed.to_dict()


def test_a_variant_in_two_tables_is_trained_once_even_if_forced(data: Data, tmp_path: Path) -> None:
    listener = Listener()
    settings = config.load(sets=[*QUICK, "train.fusion=rgb"])
    cache = Cache(tmp_path, force=True)
    report = tal.ablate(
        data.features, data.labels, data.truth, settings, rows=["full", "rgb"], cache=cache, progress=listener
    )
    assert [row.row.name for table in report.tables for row in table.rows] == ["full", "rgb", "full"]
    assert [unit for _, _, unit in listener.tasks].count("updates") == 1


def test_another_method_takes_a_rows_place_with_its_own_settings(
    data: Data, own_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the full method it takes streams and seed; its schedule is its own."""
    write_table(own_tables, {"name": "other", "method": "stpn", "set": ["train.steps=9", "train.n_snippets=20"]})
    listener = Listener()
    data.ablate("train.fusion=rgb", progress=listener)
    assert ("train rgb", 9, "updates") in listener.tasks


def test_a_row_that_fails_is_told_and_the_others_go_on(data: Data, own_tables: Path, tmp_path: Path) -> None:
    write_table(
        own_tables,
        {"name": "typo", "set": ["method.betta=1"], "paper": 3.0},
        {"name": "good", "paper": 2.0},
        {"name": "rgb", "set": ["train.fusion=rgb"]},
    )
    sets = [part for text in QUICK for part in ("--set", text)]
    done = command("ablate", *data.places(), *sets, "--json", cwd=tmp_path, cache=data.cache)
    assert done.returncode == 1
    reason = "unknown key 'method.betta'; did you mean 'method.beta'?"
    assert f"  table 1, typo: {reason}\ntal: 1 of 3 rows failed\n" in done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["tables"][0]["rows"]}
    assert (rows["typo"]["error"], rows["typo"]["mean"]) == (reason, None)
    assert not rows["good"]["error"] and len(rows["good"]["map"]) == 1
    assert json.loads(done.stdout)["tables"][0]["order"] == {"compared": 0, "otherwise": []}


def test_what_is_wrong_with_all_rows_is_one_line(data: Data, tmp_path: Path) -> None:
    done = command("ablate", *data.places(), "--set", "method.betta=1", "-q", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "tal: unknown key 'method.betta'; did you mean 'method.beta'?"


def test_the_table_that_is_printed(data: Data, own_tables: Path, tmp_path: Path) -> None:
    worst = {"name": "nothing", "set": ["localize.class_threshold=1"], "rank": 3}  # no class ever reaches 1
    write_table(
        own_tables, worst, {"name": "full", "rank": 2, "paper": 16.9}, {"name": "rgb", "set": ["train.fusion=rgb"]}
    )
    sets = [part for text in QUICK for part in ("--set", text)]
    done = command("ablate", *data.places(), *sets, "-q", cwd=tmp_path, cache=data.cache)
    assert done.returncode == 0, done.stderr
    assert "stpn, table 1: activitynet protocol, subset test" in done.stdout
    assert "0 of 1 pairs of rows in the paper's order" in done.stdout
    lines = {line.split("│")[1].strip(): line for line in done.stdout.splitlines() if line.count("│") == 6}
    assert "not above full" in lines["nothing"] and "0.00" in lines["nothing"]
    assert "not below nothing" in lines["full"] and "16.9" in lines["full"]
    assert lines["rgb"].split("│")[5].strip() == ""
    assert "8 training videos, 6 evaluated" in done.stderr and "1 videos of the subset have no features" in done.stderr


def test_help_has_examples() -> None:
    from cli.app import app

    shown = CliRunner().invoke(app, ["ablate", "--help"]).stdout
    assert "Examples:" in shown and "tal ablate --method stpn" in shown
