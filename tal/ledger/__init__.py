"""What happened to every video of a batch, in one SQLite file: ``<folder of shards>/.tal/ledger.sqlite``.

Those who fill the folder write it through `Ledger`; `look` reads it from outside. It is a record, never the truth.
"""

from __future__ import annotations

from tal.ledger.ledger import Ledger, leave_all
from tal.ledger.looking import AtWork, Status, look, recorded
from tal.ledger.records import FINISHED, STATES, SUSPECT, Record, of_header, of_shard, shards_in, stamp
from tal.ledger.schema import is_shared, ledger_path

__all__ = [
    "FINISHED",
    "STATES",
    "SUSPECT",
    "AtWork",
    "Ledger",
    "Record",
    "Status",
    "is_shared",
    "leave_all",
    "ledger_path",
    "look",
    "of_header",
    "of_shard",
    "recorded",
    "shards_in",
    "stamp",
]
