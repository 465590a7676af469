"""What an extraction has done so far, wherever it was done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tal.ledger import Record
from tal.pipeline.extract_reports import ExtractReport


@dataclass
class Tally:
    """Counts of an extraction.

    Attributes:
        made: Names of the videos whose shard was made.
        failures: Name to reason.
        remarks: Name to what is missing in the video.
        n_snippets: In the shards that were made.
        duration_s: Of the videos they were made of, seconds.
        seconds_by_stage: How long each stage worked.
    """

    made: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    n_snippets: int = 0
    duration_s: float = 0.0
    seconds_by_stage: dict[str, float] = field(default_factory=dict)

    def count(self, one: Record) -> None:
        """Count a video that ended."""
        if not one.is_finished:
            self.failures[one.name] = one.note
            return
        self.made.append(one.name)
        self.n_snippets += one.n_snippets or 0
        self.duration_s += one.duration_s or 0.0
        if one.note:
            self.remarks[one.name] = one.note

    def work(self, seconds_by_stage: Mapping[str, float]) -> None:
        """Add seconds that stages worked."""
        for stage, seconds in seconds_by_stage.items():
            self.seconds_by_stage[stage] = self.seconds_by_stage.get(stage, 0.0) + seconds

    def absorb(self, report: ExtractReport) -> None:
        """Count what another process did."""
        self.made += report.made
        self.failures.update(report.failures)
        self.remarks.update(report.remarks)
        self.n_snippets += report.n_snippets
        self.duration_s += report.hours * 3600
        self.work(report.seconds_by_stage)

    def absorb_records(self, records: Iterable[Record]) -> None:
        """Count what a process did that ended without a report."""
        for one in records:
            self.count(one)
            self.work(one.seconds)
