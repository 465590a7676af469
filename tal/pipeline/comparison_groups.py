"""What is compared: run folders and detections files, seeds of one setting taken together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tal import models
from tal.errors import ConfigError, InputError

_SEED = re.compile(r"(.+)-seed([0-9]+)")


@dataclass(frozen=True)
class Group:
    """One line of a comparison.

    Attributes:
        name: As the user wrote it, or what its members' names have in common.
        members: Run folders and detections files; several where it is a mean over seeds.
    """

    name: str
    members: tuple[Path, ...]


def find_groups(arguments: Sequence[str], named: Sequence[str] = (), each: bool = False) -> tuple[Group, ...]:
    """Return what the user's words stand for, in their order.

    Args:
        arguments: A run folder, a detections file, what the folders ``NAME-seed0``, ``NAME-seed1`` ... have in common,
            or a pattern such as ``runs/cmcs-*``.
        named: Groups, each as ``NAME=RUN,RUN,...``.
        each: Let seeds stand alone; otherwise those of one name are a group.

    Raises:
        InputError: If an argument is nothing of these.
        ConfigError: If a named group is not of this form, or nothing is named.
    """
    found = [group for text in arguments for group in _found(text, each)]
    found = found if each else _seeds_together(found)
    found += [_named(text) for text in named]
    if not found:
        raise ConfigError("nothing to compare; name run folders or detections files")
    return tuple(_numbered(found))


def is_run(path: Path) -> bool:
    """Whether a path is a run folder or the model in one."""
    return (path / models.FILE).is_file() or path.name == models.FILE


def _found(text: str, each: bool) -> list[Group]:
    path = Path(text)
    if path.is_file() or is_run(path):
        return [Group(text.rstrip("/"), (path,))]
    if seeds := _seeds_of(path):
        return [Group(str(one), (one,)) for one in seeds] if each else [Group(str(path), tuple(seeds))]
    base = Path(path.anchor)
    matches = _ordered(base.glob(str(path.relative_to(base)))) if re.search(r"[*?\[]", text) else []
    usable = [one for one in matches if is_run(one) or (one.is_file() and one.suffix in {".json", ".txt"})]
    if not usable:
        raise InputError(f"{text}: no run folder, no detections file, and no seeds of a run; check the path")
    return [Group(str(one), (one,)) for one in usable]


def _seeds_of(path: Path) -> list[Path]:
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    forms = ((one, _SEED.fullmatch(one.name)) for one in beside)
    return _ordered(one for one, form in forms if form and form[1] == path.name and is_run(one))


def _ordered(paths: Iterable[Path]) -> list[Path]:
    """Sort by name, seeds by number."""

    def key(path: Path) -> tuple[str, int]:
        form = _SEED.fullmatch(str(path))
        return (form[1], int(form[2])) if form else (str(path), -1)

    return sorted(paths, key=key)


def _seeds_together(groups: Iterable[Group]) -> list[Group]:
    """Join runs whose names differ in the seed alone, at the place of the first; one alone keeps its name."""
    joined: dict[tuple[str, int], list[Group]] = {}
    for number, group in enumerate(groups):
        form = _SEED.fullmatch(group.name)
        single = len(group.members) == 1 and is_run(group.members[0])
        joined.setdefault((form[1], -1) if form and single else (group.name, number), []).append(group)
    found: list[Group] = []
    for (name, _), parts in joined.items():
        members = tuple(dict.fromkeys(part.members[0] for part in parts))
        found += [Group(name, members)] if len(members) > 1 else parts
    return found


def _named(text: str) -> Group:
    name, _, listed = text.partition("=")
    parts = [part.strip() for part in listed.split(",") if part.strip()]
    if not name.strip() or not parts:
        raise ConfigError(f"--group '{text}': write NAME=RUN,RUN,..., e.g. --group mine=runs/a,runs/b")
    members = [member for part in parts for group in _found(part, each=True) for member in group.members]
    return Group(name.strip(), tuple(dict.fromkeys(members)))


def _numbered(groups: Iterable[Group]) -> list[Group]:
    """Give equal names a number, so that something can be compared with itself."""
    seen: dict[str, int] = {}
    found = []
    for group in groups:
        seen[group.name] = n = seen.get(group.name, 0) + 1
        found.append(Group(f"{group.name} ({n})", group.members) if n > 1 else group)
    return found
