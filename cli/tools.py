"""Commands beside the stages: demo, doctor, cache, bench."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import completing
from cli import options as o

cache_app = typer.Typer(help="Show, explain and clear the stage cache.", no_args_is_help=True)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything.")] = Path("demo"),
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Render videos with known actions, then extract, train, localize and evaluate on them.

    Needs no data and no network; takes a few minutes on two cores. A second run shows the cache at work.

    Examples:
        tal demo

        tal demo -o /tmp/demo --set train.steps=500
    """
    from cli import render
    from tal.demo.run import run_demo

    with o.environment(cache, quiet=quiet, verbose=verbose) as env:
        shown = run_demo(out, config, sets, **env)
    if as_json:
        render.chain_json(shown.report, {what: str(path) for what, path in shown.paths.items()})
        return
    render.chain(shown.report)
    for what, path in shown.paths.items():
        print(f"{what:12} {path}")


def doctor(as_json: o.Json = False, cache: o.CacheDir = None) -> None:
    """Show what this machine has: GPU, flow engines, decoders, weights, and what is missing.

    Examples:
        tal doctor

        tal doctor --json
    """
    from cli import render
    from tal.doctor import examine

    with o.busy("examine"):
        checks = examine(cache)
    if as_json:
        print(json.dumps([vars(check) for check in checks], indent=1))
    else:
        render.table("tal doctor", ["part", "state", "detail"], [[c.part, c.state, c.detail] for c in checks])
    if any(check.state == "missing" and check.needed for check in checks):
        raise typer.Exit(1)


def bench(
    name: Annotated[
        str, typer.Argument(help="Benchmark; 'tal bench list' shows them.", autocompletion=completing.benchmarks)
    ],
    as_json: o.Json = False,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller version that ends within a minute.")] = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Measure something, ours and its peer in the same run.

    Examples:
        tal bench list

        tal bench answers --quick --json
    """
    from cli import render
    from cli.progress import display
    from tal import bench as benches

    if name == "list":
        known = benches.available()
        if as_json:
            print(json.dumps(known, indent=1))
        else:
            print("\n".join(f"{one:14} {about}" for one, about in known.items()))
        return
    with display(quiet, verbose) as progress:
        result = benches.run(name, quick, progress)
    if as_json:
        print(json.dumps(result.to_dict(), indent=1))
    else:
        columns = ["row", "ours", "peer", "ratio", "unit", "goal", "met"]
        render.table(f"{name} on {result.machine}", columns, result.cells())


Stage = Annotated[str | None, typer.Option(help="Only this stage.", autocompletion=completing.stages)]


@cache_app.command("ls")
def cache_ls(stage: Stage = None, cache: o.CacheDir = None, as_json: o.Json = False) -> None:
    """List what is kept: stage, key, size, age.

    Example:
        tal cache ls --stage train
    """
    from datetime import datetime

    from cli import render
    from tal.cache import Cache

    found = [
        (entry, datetime.fromtimestamp(entry.path.stat().st_mtime).astimezone())
        for entry in Cache(cache).entries(stage)
    ]
    if as_json:
        names = ("stage", "key", "n_bytes", "made", "path")
        render.records(
            names,
            [(one.preimage["stage"], one.key, one.n_bytes, made.isoformat(), str(one.path)) for one, made in found],
        )
        return
    rows = [
        (one.preimage["stage"], one.key[:12], f"{one.n_bytes / 1e6:.1f} MB", made.strftime("%Y-%m-%d %H:%M"))
        for one, made in found
    ]
    render.table(str(Cache(cache).root), ["stage", "key", "size", "made"], rows)


@cache_app.command("why")
def cache_why(
    key: Annotated[
        str,
        typer.Argument(
            help="The first characters of a key, as 'tal cache ls' shows them.", autocompletion=completing.keys
        ),
    ],
    other: Annotated[
        str | None,
        typer.Argument(help="Another key; default: the nearest of the same stage.", autocompletion=completing.keys),
    ] = None,
    cache: o.CacheDir = None,
) -> None:
    """Explain an entry: what its key is made of, and how it differs from another.

    Example:
        tal cache why 3fa2
    """
    from tal.cache import Cache, explain

    print(explain(Cache(cache), key, other))


@cache_app.command("clear")
def cache_clear(stage: Stage = None, cache: o.CacheDir = None) -> None:
    """Remove what is kept. Shards and runs in your own folders stay.

    Example:
        tal cache clear --stage activate
    """
    from tal.cache import Cache

    print(f"freed {Cache(cache).clear(stage) / 1e6:.1f} MB", file=sys.stderr)
