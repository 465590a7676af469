"""The command ``tal``: registration of commands and the one error boundary.

Exit status: 0 done; 1 something of the user's could not be used (a batch's other items are done); 2 a setting, option
or name is wrong; 130 interrupted (Ctrl-C), 143 told to end (SIGTERM). Results go to stdout, everything else to stderr.
``TAL_DEBUG=1`` shows tracebacks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from typing import Annotated

import typer

from cli import (
    ablating,
    comparing,
    datasets,
    diagnosing,
    evaluating,
    exporting,
    feature_files,
    importing,
    labelling,
    localizing,
    probe,
    reporting,
    schemas,
    showing,
    stages,
    status,
    tools,
    training,
    weights,
)
from cli.text import printable
from cli.urls import understood
from tal.errors import BackendError, TalError

PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "From video to answer": (stages.run, stages.extract, training.train, localizing.localize, tools.demo),
    "Look": (status.status, showing.show, reporting.report, exporting.export, probe.probe),
    "Evaluate": (evaluating.evaluate, diagnosing.diagnose, comparing.compare, ablating.ablate, datasets.reproduce),
    "Data": (
        labelling.label,
        exporting.import_annotations,
        importing.import_model,
        feature_files.import_features,
        feature_files.export_features,
    ),
    "Tools": (tools.doctor, tools.bench, schemas.schema),
}
"""Where ``tal --help`` shows which command, in this order."""


def _version(asked: bool) -> None:
    if asked:
        from cli.versions import lines

        print("\n".join(lines()))
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Show versions, also of what tal stands on.",
        ),
    ] = False,
) -> None:
    pass


def build(words: Collection[str] | None = None) -> typer.Typer:
    """Return the command line.

    Args:
        words: Only commands among these get their options; default all. Making hundreds of options takes longer than
            most of what is asked: ``tal --help``, a word to be completed, one command.
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
    for panel, commands in PANELS.items():
        for command in commands:
            name = command.__name__.replace("_", "-")
            whole = words is None or name in words
            made.command(name, rich_help_panel=panel)(understood(command) if whole else _named(command))
    made.add_typer(datasets.data_app, name="data", rich_help_panel="Data")
    made.add_typer(weights.weights_app, name="weights", rich_help_panel="Tools")
    made.add_typer(tools.cache_app, name="cache", rich_help_panel="Tools")
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
    from cli.signals import heeded

    with heeded():
        _run()


def _run() -> None:
    try:
        build(_words())(sys.argv[1:] or ["--help"], prog_name="tal")
    except (TalError, MemoryError, RuntimeError) as error:
        told = error if isinstance(error, TalError) else _short_of_memory(error)
        if told is None or os.environ.get("TAL_DEBUG"):
            raise
        _show(told)
        sys.exit(told.exit_code)


def _short_of_memory(error: Exception) -> TalError | None:
    """Return what to tell if memory ran out, of the machine or of a GPU."""
    from tal.pipeline.memory import is_short

    if not is_short(error):
        return None
    return BackendError(
        "memory ran out; end other programs, or less at once takes less (--set runtime.batch=1, train.batch_size=2)"
    )


def _words() -> set[str]:
    """Return the words of the command line, or of the one that a shell wants completed."""
    typed = (os.environ.get(name, "").split() for name in ("COMP_WORDS", "_TYPER_COMPLETE_ARGS"))
    return {*sys.argv[1:], *(word for part in typed for word in part)}


def _show(error: Exception) -> None:
    for name, reason in getattr(error, "failures", {}).items():
        print(f"  {printable(name)}: {printable(reason)}", file=sys.stderr)
    print(f"tal: {printable(str(error))}", file=sys.stderr)


if __name__ == "__main__":
    main()
