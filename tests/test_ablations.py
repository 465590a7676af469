"""Ablation tables: what is shipped is valid, what is run is what the pipeline gives, one bad row stops nothing."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from planted import CLASSES, Killed, Listener, planted, write_shard
from small import tal as command
from typer.testing import CliRunner

import tal
from tal import config, methods
from tal.cache import Cache
from tal.errors import ConfigError, InputError
from tal.pipeline import ablation_tables
from tal.pipeline.ablation_tables import Table, choose, read
from tal.pipeline.context import context
from tal.pipeline.localizing import localize_shards

QUICK = ["method.hidden=8", "train.steps=12", "train.batch_size=4", "train.n_snippets=20", "train.lr=1e-2"]
QUICK += ["runtime.device=cpu", "runtime.checkpoint_every=5", "localize.rule=max", "localize.thresholds=[0.6]"]
PAPERS = {"cpmn": "000", "assg": "001", "ecm": "002", "stpn": "003", "cmcs": "004"}
SNIPPET_S = 16 / 25


@dataclass(frozen=True)
class Data:
    """Features of training and test videos and of one that belongs to neither; a cache that tests share."""

    features: Path
    labels: Path
    truth: Path
    cache: Path

    def ablate(self, *sets: str, cache: Path | None = None, **more: Any) -> tal.pipeline.AblationReport:
        settings = config.load(sets=[*QUICK, *sets])
        return tal.ablate(self.features, self.labels, self.truth, settings, cache=Cache(cache or self.cache), **more)

    def places(self) -> list[Path | str]:
        return ["-f", self.features, "-l", self.labels, "-a", self.truth]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("ablations")
    rng, database, rows = np.random.default_rng(0), {}, ["video,label"]
    for i in range(14):
        name, subset = f"v{i:02}", "train" if i < 8 else "test"
        values, where = planted(rng, [i % 3], 24)
        write_shard(folder / "features" / f"{name}.safetensors", {"rgb": values, "flow": values * 0.5})
        start = int(np.flatnonzero(where[:, i % 3])[0])
        segment = [start * SNIPPET_S, (start + 4) * SNIPPET_S]
        found = [{"label": CLASSES[i % 3], "segment": segment}]
        database[name] = {"subset": subset, "duration": 24 * SNIPPET_S, "annotations": found}
        rows += [f"{name},{CLASSES[i % 3]}"] if subset == "train" else []
    write_shard(folder / "features" / "stranger.safetensors", {"rgb": values, "flow": values})
    database["unseen"] = {**database["v13"]}
    (folder / "truth.json").write_text(json.dumps({"database": database}))
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return Data(folder / "features", folder / "labels.csv", folder / "truth.json", folder / "cache")


@pytest.fixture
def own_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let tables be looked for in a folder of the test's."""
    monkeypatch.setattr(ablation_tables, "shipped", lambda folder: tmp_path / folder)
    (tmp_path / "configs" / "ablations").mkdir(parents=True)
    return tmp_path / "configs" / "ablations"


def write_table(folder: Path, *rows: dict[str, Any], method: str = "stpn", **about: Any) -> None:
    table = {"source": "table 1", "tiou": 0.5, **about, "rows": list(rows)}
    (folder / f"{method}.yaml").write_text(yaml.safe_dump({"tables": [table]}))


READY = sorted(set(methods.available()) & set(config.methods()))


def test_every_method_has_tables() -> None:
    assert set(READY) <= set(ablation_tables.available())


@pytest.mark.parametrize("method", READY)
def test_every_row_of_a_shipped_table_is_another_variant_that_the_method_knows(method: str) -> None:
    for table in read(method):
        variants = []
        for row in table.rows:
            settings = config.load(row.method or method, sets=row.set)
            variants.append((methods.resolve(settings.method), settings.train, settings.localize))
        assert all(one not in variants[:i] for i, one in enumerate(variants)), table.source


@pytest.mark.parametrize("method", PAPERS)
def test_every_number_is_printed_in_the_paper(shared: Path, method: str) -> None:
    (file,) = (shared / "papers").glob(f"{PAPERS[method]}_*.txt")
    printed = set(re.findall(r"\d+\.\d+", file.read_text()))
    numbers = {f"{row.paper:.1f}" for table in read(method) for row in table.rows if row.paper is not None}
    assert numbers and numbers <= printed


def test_the_papers_orders() -> None:
    rows = [{"name": "a", "paper": 20.0}, {"name": "b", "paper": 10.0}, {"name": "c", "paper": 10.0}, {"name": "d"}]
    printed = Table.model_validate({"source": "t", "tiou": 0.5, "rows": rows})
    assert sorted(printed.orders("abcd")) == [("a", "b"), ("a", "c")]
    assert printed.orders("bcd") == []
    ranks = [{"name": "a", "rank": 1, "paper": 99.0}, {"name": "b", "rank": 2}, {"name": "c", "rank": 2}]
    told = Table.model_validate({"source": "f", "tiou": "0.1:0.5:0.1", "rows": ranks})
    assert sorted(told.orders("abc")) == [("b", "a"), ("c", "a")]
    assert (printed.metric, told.metric) == ("mAP@0.5", "mAP@0.1:0.5")


def test_rows_are_chosen_by_their_names_or_their_tables() -> None:
    tables = read("stpn")
    assert [[row.name for row in table.rows] for table in choose(tables, ["rgb", "full"])] == [
        ["full"],
        ["rgb", "full"],
    ]
    assert choose(tables, ["figure 6"]) == tables[1:]
    assert choose(tables, []) == tables
    with pytest.raises(ConfigError, match=r"^--rows: no row or table 'figure 7'; did you mean 'figure 6'\?$"):
        choose(tables, ["full", "figure 7"])
    with pytest.raises(ConfigError, match=r"^no ablation tables of 'stpm'; did you mean 'stpn'\?$"):
        read("stpm")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"name": "a"}, {"name": "a", "set": ["train.lr=1"]}], "table 1: two rows have the same name"),
        ([{"name": "a", "papers": 3}], "unknown key 'tables.0.rows.0.papers'"),
        ([{"name": "a", "paper": 300}], "tables.0.rows.0.paper: input should be less than or equal to 100"),
        ([], "tables.0.rows: tuple should have at least 1 item"),
    ],
)
def test_a_wrong_table_is_told(own_tables: Path, rows: list[dict[str, Any]], message: str) -> None:
    write_table(own_tables, *rows)
    with pytest.raises(ConfigError) as error:
        read("stpn")
    assert message in str(error.value) and str(own_tables / "stpn.yaml") in str(error.value)


def test_one_name_is_one_variant(own_tables: Path) -> None:
    tables = [{"source": s, "tiou": 0.5, "rows": [{"name": "a", "set": [f"train.seed={s}"]}]} for s in "12"]
    (own_tables / "stpn.yaml").write_text(yaml.safe_dump({"tables": tables}))
    with pytest.raises(ConfigError, match="row 'a' is two variants"):
        read("stpn")


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
