"""A folder of modules as a registry: each public module is something that users choose by name."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from tal.errors import ConfigError, suggest


def public_modules(path: Iterable[str]) -> list[str]:
    """Return the names of a package's modules that do not begin with ``_``, sorted; nothing is imported.

    Args:
        path: The package's ``__path__``.
    """
    return sorted(module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))


class Formats:
    """A folder of formats, each of which can be read, written, or both.

    Args:
        package: Its name, ``__name__`` there.
        path: Its ``__path__``.
        kind: What a message calls one of them.
        dash: What users write for ``_``.
    """

    def __init__(self, package: str, path: Iterable[str], kind: str, dash: str = "_") -> None:
        self._package, self._path, self._kind, self._dash = package, path, kind, dash

    def names(self, able: Callable[[Any], bool] = lambda module: True) -> list[str]:
        """Return the names of the formats whose module is able to do what is asked."""
        names = [name.replace("_", self._dash) for name in public_modules(self._path)]
        return sorted(name for name in names if able(self.module(name)))

    def module(self, name: str) -> Any:
        """Return the module of a format that is known."""
        return import_module(f"{self._package}.{name.replace(self._dash, '_')}")

    def load(self, name: str, known: Iterable[str], no: str) -> Any:
        """Return the module of a format.

        Args:
            name: What the user wrote.
            known: The formats that can do what is wanted.
            no: What to say of a format that cannot, up to the list of those that can.

        Raises:
            ConfigError: If there is no such format, or it is not among those.
        """
        names = list(known)
        if name in names:
            return self.module(name)
        if name in self.names():
            raise ConfigError(f"{no}: {', '.join(names)}")
        raise ConfigError(f"unknown {self._kind} '{name}'{suggest(name, names)}")
