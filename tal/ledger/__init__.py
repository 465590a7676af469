"""What happened to every video of a batch, in one SQLite file."""

from __future__ import annotations
