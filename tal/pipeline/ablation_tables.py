"""The ablation tables of the papers, as shipped: which rows they have and what was published of them.

``configs/ablations/<method>.yaml`` holds the tables of one method; a new method's are one more file there. Figures
whose values are not printed have ranks in place of numbers: what the paper says in words.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations
from typing import Literal

from pydantic import Field, model_validator

from tal import config
from tal.errors import ConfigError, suggest
from tal.files import shipped
from tal.settings import Section
from tal.settings.evaluation import TIoUs


class Row(Section):
    """One variant of a method.

    Attributes:
        name: What it is called; the same variant may stand in several tables.
        set: What differs from the full method, ``KEY=VALUE`` as with ``--set``.
        paper: The published mAP at the table's tIoU, in percent; None where none is printed.
        rank: Where only words or curves tell: a variant of a higher rank is better, equal ranks are not compared.
        method: Another method that stands in place of this one, with its own shipped settings.
    """

    name: str = Field(min_length=1)
    set: tuple[str, ...] = ()
    paper: float | None = Field(None, ge=0, le=100)
    rank: int | None = None
    method: str = ""


class Table(Section):
    """One table or figure of a paper.

    Attributes:
        source: Where it is printed, such as ``table 4``.
        tiou: What its numbers are: mAP at one tIoU, or the mean over several.
        protocol: How the paper counts.
        note: What else its numbers depend on.
        rows: In the paper's order.
    """

    source: str = Field(min_length=1)
    tiou: TIoUs
    protocol: Literal["activitynet", "thumos14"] = "activitynet"
    note: str = ""
    rows: tuple[Row, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Table:
        names = [row.name for row in self.rows]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.source}: two rows have the same name")
        return self

    @property
    def metric(self) -> str:
        """What the numbers are, in words."""
        first, last = f"{self.tiou[0]:g}", f"{self.tiou[-1]:g}"
        return f"mAP@{first}" if len(self.tiou) == 1 else f"mAP@{first}:{last}"

    def orders(self, among: Collection[str]) -> list[tuple[str, str]]:
        """Return the pairs of these rows, (better, worse), of which the paper says which one is better."""
        ranked = any(row.rank is not None for row in self.rows)
        standing = {row.name: row.rank if ranked else row.paper for row in self.rows if row.name in among}
        known = [(value, name) for name, value in standing.items() if value is not None]
        pairs = [sorted(pair, reverse=True) for pair in combinations(known, 2) if pair[0][0] != pair[1][0]]
        return [(better, worse) for (_, better), (_, worse) in pairs]


class _File(Section):
    tables: tuple[Table, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_variant_per_name(self) -> _File:
        known: dict[str, tuple[object, ...]] = {}
        for row in (row for table in self.tables for row in table.rows):
            if known.setdefault(row.name, (row.set, row.method)) != (row.set, row.method):
                raise ValueError(f"row '{row.name}' is two variants")
        return self


def available() -> list[str]:
    """Return the names of the methods whose tables are shipped."""
    return sorted(path.stem for path in (shipped("configs") / "ablations").glob("*.yaml"))


def read(method: str) -> tuple[Table, ...]:
    """Return the tables of a method's paper.

    Raises:
        ConfigError: If there are none, or the file is not as described above.
    """
    if method not in available():
        raise ConfigError(f"no ablation tables of '{method}'{suggest(method, available())}")
    path = shipped("configs") / "ablations" / f"{method}.yaml"
    return config.check(_File, config.read_yaml(path), where=str(path)).tables


def choose(tables: Sequence[Table], names: Sequence[str]) -> tuple[Table, ...]:
    """Return what is left of tables when some rows, or all rows of some tables, are named; all for no names.

    Raises:
        ConfigError: If there is no such row or table.
    """
    known = {row.name for table in tables for row in table.rows} | {table.source for table in tables}
    for name in names:
        if name not in known:
            raise ConfigError(f"--rows: no row or table '{name}'{suggest(name, known)}")
    if not names:
        return tuple(tables)
    kept = ((t, tuple(r for r in t.rows if t.source in names or r.name in names)) for t in tables)
    return tuple(table.model_copy(update={"rows": rows}) for table, rows in kept if rows)
