"""What came out of a paper's ablation tables, beside what the paper says."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from tal.pipeline.ablation_tables import Row, Table


@dataclass(frozen=True)
class RowReport:
    """What became of one row.

    Attributes:
        row: The variant.
        map: mAP at the table's tIoU of each seed, in [0, 1]; empty if the row failed.
        average: mAP of each seed over the settings' tIoU.
        error: Why the row failed.
    """

    row: Row
    map: tuple[float, ...] = ()
    average: tuple[float, ...] = ()
    error: str = ""

    @property
    def deviation(self) -> float | None:
        """Standard deviation of `map` over seeds (n - 1); None for fewer than two."""
        return stdev(self.map) if len(self.map) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; all mAP in [0, 1] but the paper's, which is in percent as printed."""
        mean = fmean(self.map) if self.map else None
        measured = {"map": list(self.map), "mean": mean, "deviation": self.deviation, "average": list(self.average)}
        return {**self.row.model_dump(mode="json"), **measured, "error": self.error}


@dataclass(frozen=True)
class TableReport:
    """What became of one table.

    Attributes:
        table: What the paper says.
        protocol: How was counted here.
        rows: In the table's order.
    """

    table: Table
    protocol: str
    rows: tuple[RowReport, ...]

    @property
    def compared(self) -> list[tuple[str, str]]:
        """Pairs of rows that were run, (better, worse) as the paper says."""
        return self.table.orders(among=set(self._means))

    @property
    def otherwise(self) -> list[tuple[str, str]]:
        """Those of them that came out otherwise, or equal."""
        means = self._means
        return [(better, worse) for better, worse in self.compared if means[better] <= means[worse]]

    @property
    def _means(self) -> dict[str, float]:
        return {one.row.name: fmean(one.map) for one in self.rows if one.map}

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        about = self.table.model_dump(mode="json", exclude={"rows", "protocol"})
        order = {"compared": len(self.compared), "otherwise": [list(pair) for pair in self.otherwise]}
        paper = {"paper_protocol": self.table.protocol, "protocol": self.protocol}
        return {**about, **paper, "rows": [one.to_dict() for one in self.rows], "order": order}


@dataclass(frozen=True)
class AblationReport:
    """What became of a method's tables.

    Attributes:
        method: The method.
        subset: Evaluated subset of the truth.
        n_trained: Training videos.
        n_evaluated: Evaluated videos that have features.
        missing: Videos of the subset that have none; what happens in them counts as missed.
        tables: In the paper's order.
    """

    method: str
    subset: str
    n_trained: int
    n_evaluated: int
    missing: tuple[str, ...]
    tables: tuple[TableReport, ...]

    @property
    def failures(self) -> dict[str, str]:
        """Rows that failed, and why."""
        found = ((t.table.source, one) for t in self.tables for one in t.rows)
        return {f"{source}, {one.row.name}": one.error for source, one in found if one.error}

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        counts = {"n_trained": self.n_trained, "n_evaluated": self.n_evaluated, "missing": list(self.missing)}
        tables = [table.to_dict() for table in self.tables]
        return {"method": self.method, "subset": self.subset, **counts, "tables": tables}
