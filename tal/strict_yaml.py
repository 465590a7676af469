"""YAML of people who may be careless or hostile: plain values only, each key once, and never more than was written.

PyYAML's safe loader makes no objects of a stranger's choice, but it lets the last of two equal keys win, follows
aliases that multiply ten lines into billions of values, and lets through what Python raises at malformed numbers.
"""

from __future__ import annotations

from typing import Any

import yaml

MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 50
MAX_NODES = 100_000
"""Values after aliases were followed."""
MAX_DIGITS = 400

_BROKEN = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError)
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class NotYaml(ValueError):
    """What is wrong with a text, in a few words.

    Attributes:
        line: Where, counted from 1; 0 if it is not known.
    """

    def __init__(self, problem: object, line: int = 0) -> None:
        super().__init__(" ".join(str(problem).split())[:200])
        self.line = line


def parse(text: str) -> Any:
    """Return the one document of a text as plain values.

    Raises:
        NotYaml: If it is no YAML, names a key twice, or is larger or deeper than any settings.
    """
    if len(text) > MAX_CHARACTERS:
        raise NotYaml(f"{len(text)} characters, where {MAX_CHARACTERS} are read")
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        raise NotYaml(error.problem or error, error.problem_mark.line + 1 if error.problem_mark else 0) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NotYaml(f"a character that is not allowed (#x{error.character:04x})", line) from error
    except _BROKEN as error:  # PyYAML's constructors, at numbers and dates that are none
        raise NotYaml("a value that is not what its form promises") from error


class _Loader(yaml.SafeLoader):
    """The safe loader with limits."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._n_nodes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node, which counts again for each alias of it."""
        is_alias = self.check_event(yaml.AliasEvent)
        mark: yaml.Mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"nested more than {MAX_DEPTH} deep", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and id(node) not in self._n_nodes:
            raise yaml.composer.ComposerError(None, None, "an alias that holds itself", mark)
        if self._counted(node) > MAX_NODES:
            raise yaml.composer.ComposerError(None, None, f"more than {MAX_NODES} values, aliases counted", mark)
        return node

    def _counted(self, node: yaml.Node | None) -> int:
        if id(node) not in self._n_nodes:
            parts = _parts(node) if isinstance(node, yaml.CollectionNode) else ()
            self._n_nodes[id(node)] = 1 + sum(self._n_nodes[id(part)] for part in parts)
        return self._n_nodes[id(node)]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping that names each key once; ``<<`` may stand beside keys that it brings."""
        named: set[tuple[str, str]] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in named:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value[:40]}' stands twice", key.start_mark
                    )
                named.add((key.tag, key.value))
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """Return a scalar's text; numbers of thousands of digits are none."""
        value = super().construct_scalar(node)
        if node.tag in _NUMBERS and len(value) > MAX_DIGITS:
            raise yaml.constructor.ConstructorError(None, None, f"a number of {len(value)} characters", node.start_mark)
        return value


def _parts(node: yaml.CollectionNode) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)
