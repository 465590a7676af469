"""The reference of the command line: one page per command or group of commands, made from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from markdown_words import block, code, plain, table

FOLDER = "reference/cli"


def commands() -> Mapping[str, Any]:
    """Return the name and the command, or group of commands, of everything that `tal` knows."""
    import typer.main

    from cli.app import build

    program: Any = typer.main.get_command(build())
    return {name: command for name, command in program.commands.items() if not command.hidden}


def titles() -> dict[str, str]:
    """Return the address and the title of each page, the overview first."""
    return {f"{FOLDER}/index.md": "All commands", **{f"{FOLDER}/{name}.md": f"tal {name}" for name in commands()}}


def pages() -> dict[str, str]:
    """Return the address and the text of each page."""
    made = {f"{FOLDER}/{name}.md": page(name, command) for name, command in commands().items()}
    return {f"{FOLDER}/index.md": overview(), **made}


def overview() -> str:
    """Return the page that lists all commands."""
    rows = ([f"[`tal {name}`]({name}.md)", plain(_summary(command))] for name, command in commands().items())
    about = (
        "Results go to standard output, everything else to standard error. Exit status: 0 done, 1 something could not "
        "be used (a batch's other items are done), 2 a wrong setting or option, 130 interrupted.\n\n"
        "These pages are made from the program; `tal COMMAND --help` shows the same.\n"
    )
    return f"# The command line\n\n{about}\n{table(['command', 'what it does'], rows)}"


def page(name: str, command: Any) -> str:
    """Return the page of a command, or of a group with a section for each of its commands."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return f"# tal {name}\n\n" + _body(f"tal {name}", command, "##")
    parts = [f"# tal {name}\n\n{plain(inspect.cleandoc(command.help or ''))}\n"]
    for sub, one in inner.items():
        parts.append(f"## tal {name} {sub}\n\n" + _body(f"tal {name} {sub}", one, "###"))
    return "\n".join(parts)


def _body(path: str, command: Any, mark: str) -> str:
    words, _, examples = inspect.cleandoc(command.help or "").partition("Examples:")
    context = command.make_context(path, [], resilient_parsing=True)
    usage = re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), " ".join(command.collect_usage_pieces(context)))
    parts = [plain(words.strip()) + "\n", block(f"{path} {usage}")]
    if examples.strip():
        lines = [line for line in inspect.cleandoc(examples).splitlines() if line.strip()]
        parts.append(f"{mark} Examples\n\n" + block("\n".join(lines), "sh"))
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        if rows := list(_rows(command, context, kind)):
            parts.append(f"{mark} {title}\n\n" + table([kind, "what it means", "default"], rows))
    return "\n".join(parts)


def _rows(command: Any, context: Any, kind: str) -> Iterator[list[str]]:
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if parameter.param_type_name != kind or record is None:
            continue
        yield [
            code(re.sub(r"<list\[(\w+)\]>", lambda one: f"<{one[1].lower()}>", record[0])),
            plain(_said(parameter.help or "")),
            _default(parameter),
        ]


def _said(text: str) -> str:
    """Return what an option's help says without Rich's markup."""
    return re.sub(r"\[/?(bold|dim|italic|cyan|green|red|yellow)\]", "", text)


def _default(parameter: Any) -> str:
    """Return the default as it would be typed; where there is none, what the option is read from."""
    if parameter.required:
        return "required"
    value = parameter.default
    told = "" if value is None or value is False or value in ([], ()) or callable(value) else code(str(value))
    named = code(f"${parameter.envvar}") if isinstance(parameter.envvar, str) else ""
    return " or ".join(part for part in (named, told) if part)


def _summary(command: Any) -> str:
    return inspect.cleandoc(command.help or "").split("\n\n")[0]
