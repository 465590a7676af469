"""Ablation tables: what is shipped is valid and as printed, what is wrong with others is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ablated
import pytest
import yaml
from ablated import write_table

from tal import config, methods
from tal.errors import ConfigError
from tal.pipeline import ablation_tables
from tal.pipeline.ablation_tables import Table, choose, read

own_tables = ablated.own_tables  # a fixture
PAPERS = {"cpmn": "000", "assg": "001", "ecm": "002", "stpn": "003", "cmcs": "004"}
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
