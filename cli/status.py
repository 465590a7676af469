"""The command that shows how far a batch is: parse, look, render."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o
from cli.text import can_redraw, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from tal.ledger import Status

EVERY_S = 1.0
MAX_RUNNING = 12
MAX_TROUBLES = 1000
WORDS = {
    "done": "shard made",
    "damaged": "shard made, something is missing in the video",
    "running": "in work",
    "waiting": "not made yet",
    "failed": "tried again by the next run",
    "poison": "took its process down; tried again with --retry-failed",
}


def status(
    folder: Annotated[Path, typer.Argument(help="Folder of feature shards, as 'tal extract' fills it.")] = Path(
        "features"
    ),
    failed: Annotated[bool, typer.Option("--failed", help="List the videos that failed, and why.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it until nobody works on it.")] = False,
    as_json: o.Json = False,
) -> None:
    """Show how far a batch is: videos by state, rate, time left, who works on what.

    Only looks, at the folder's ledger and its shards; may be asked at any time, of a folder on a read-only disk, too.
    With --watch --json prints one line a second.

    Examples:
        tal status

        tal status features --watch

        tal status features --failed

        tal status features --json
    """
    if watch:
        _watch(folder, failed, as_json)
        return
    found = _look(folder, failed)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        _console().print(_drawn(found, failed))
    if found.note:
        print(printable(found.note), file=sys.stderr)


def _watch(folder: Path, failed: bool, as_json: bool) -> None:
    """Show a batch again and again, until no worker is left."""
    from rich.live import Live

    if as_json or not can_redraw(sys.stdout):
        while True:
            found = _look(folder, failed)
            print(json.dumps(found.to_dict()) if as_json else printable(_line(found)), flush=True)
            if not found.workers:
                return
            time.sleep(EVERY_S)
    with Live(console=_console(), auto_refresh=False) as live:
        while (found := _look(folder, failed)).workers:
            live.update(_drawn(found, failed), refresh=True)
            time.sleep(EVERY_S)
        live.update(_drawn(found, failed), refresh=True)


def _look(folder: Path, failed: bool) -> Status:
    """Look at a folder, or at a remote one whose ledger lies in the cache."""
    from tal.ledger import look
    from tal.storage.urls import url_of

    if (url := url_of(folder)) is None:
        return look(folder, failed)
    from tal.cache import default_root
    from tal.pipeline.outlets import remote_status

    return remote_status(url, default_root(), failed)


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False, emoji=False)


def _drawn(found: Status, failed: bool) -> RenderableType:
    """Return the tables of a look."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [_states(found), Text(printable(_line(found)))]
    if found.running:
        parts.append(_running(found))
    if failed:
        parts.append(_troubles(found) if found.troubles else Text("no video has failed"))
    return Group(*parts)


def _states(found: Status) -> RenderableType:
    from rich.table import Table

    table = Table(title=printable(found.address or str(found.folder)), title_justify="left")
    table.add_column("state")
    table.add_column("videos", justify="right")
    table.add_column("meaning")
    for state, meaning in WORDS.items():
        if found.counts[state] or state in ("done", "waiting"):
            table.add_row(state, str(found.counts[state]), meaning)
    if found.lost:
        table.add_row("lost", str(found.lost), "made before, the shard is gone: made again by the next run")
    if found.others:
        table.add_row("others", str(found.others), "shards that the ledger does not know")
    return table


def _running(found: Status) -> RenderableType:
    from rich.table import Table

    who = {one.id: f"{one.node} {one.pid}" for one in found.workers}
    table = Table("in work", "attempt", "since", "by", title_justify="left")
    now = time.time()
    for one in found.running[:MAX_RUNNING]:
        since = span(max(0.0, now - (one.begun or now)))
        table.add_row(printable(one.name), str(one.attempts), since, printable(who.get(one.worker, "")))
    return table


def _troubles(found: Status) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table("video", "state", "attempts", "why", title_justify="left")
    for one in found.troubles[:MAX_TROUBLES]:
        table.add_row(Text(printable(one.name)), one.state, str(one.attempts), Text(printable(one.note)))
    if (more := len(found.troubles) - MAX_TROUBLES) > 0:
        table.add_row(f"{more} more", "", "", "--json lists all")
    return table


def _line(found: Status) -> str:
    """Say in one line how far, how fast, how long."""
    total = found.n_finished + found.left + found.counts["failed"] + found.counts["poison"]
    said = [f"{found.n_finished} of {total} videos, {found.duration_s / 3600:.3g} hours"]
    said.append(f"{len(found.workers)} at work" if found.workers else "nobody at work")
    if found.videos_per_s and found.workers:
        said.append(f"{found.videos_per_s * 60:.3g} videos a minute, {found.duration_per_s or 0:.3g} x real time")
    if found.eta_s is not None and found.left:
        said.append(f"about {span(found.eta_s)} left")
    return ", ".join(said)


def span(seconds: float) -> str:
    """Return a length of time for people: ``41 s``, ``12 min``, ``3 h 20 min``, ``2 d 5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
