"""The command ``tal``: registration of commands and the one error boundary.

Exit status: 0 done; 1 something of the user's could not be used (a batch's other items are done); 2 a setting, option
or name is wrong; 130 interrupted. Results go to stdout, everything else to stderr. ``TAL_DEBUG=1`` shows tracebacks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from cli import (
    ablating,
    comparing,
    datasets,
    diagnosing,
    evaluating,
    feature_files,
    importing,
    localizing,
    probe,
    stages,
    tools,
    training,
    weights,
)
from cli.text import printable

INTERRUPTED = 130
COMMANDS: tuple[Callable[..., None], ...] = (
    *(stages.extract, training.train, localizing.localize, evaluating.evaluate, stages.run, ablating.ablate),
    *(comparing.compare, diagnosing.diagnose, datasets.reproduce),
    importing.import_model,
    *(feature_files.import_features, feature_files.export_features),
    *(probe.probe, tools.demo, tools.doctor, tools.bench),
)


def _version(asked: bool) -> None:
    if asked:
        from tal import __version__

        print(f"tal {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def build(*, bare: bool = False) -> typer.Typer:
    """Return the command line.

    Args:
        bare: Commands without their options: enough for ``tal --help``, which need not look at hundreds of them.
    """
    made = typer.Typer(
        name="tal",
        help="Weakly supervised temporal action localization, from raw video to answer.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        add_completion=True,
    )
    made.callback()(_root)
    for command in COMMANDS:
        made.command()(_named(command) if bare else command)
    made.add_typer(tools.cache_app, name="cache")
    made.add_typer(datasets.data_app, name="data")
    made.add_typer(weights.weights_app, name="weights")
    return made


def _named(command: Callable[..., None]) -> Callable[[], None]:
    """Return a command of the same name and words without options."""

    def nothing() -> None:
        pass

    nothing.__name__, nothing.__doc__ = command.__name__, command.__doc__
    return nothing


app = build()


def main() -> None:
    """Run the command line; every problem that the user can fix becomes one line."""
    from tal.errors import TalError

    try:
        (build(bare=True) if sys.argv[1:] in ([], ["--help"]) else app)()
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            print("\ninterrupted; what is finished is kept, the same command goes on from there", file=sys.stderr)
        raise
    except TalError as error:
        if os.environ.get("TAL_DEBUG"):
            raise
        _show(error)
        sys.exit(error.exit_code)


def _show(error: Exception) -> None:
    for name, reason in getattr(error, "failures", {}).items():
        print(f"  {printable(name)}: {printable(reason)}", file=sys.stderr)
    print(f"tal: {printable(str(error))}", file=sys.stderr)


if __name__ == "__main__":
    main()
