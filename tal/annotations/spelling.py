"""Labels that are probably one label in two spellings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Literal

MIN_LETTERS = 4
"""Shorter labels may well differ in one letter: run and gun."""

How = Literal["spelling", "plural", "letter"]


def alike(labels: Iterable[str]) -> Iterator[tuple[str, str, How]]:
    """Yield pairs of labels, sorted, with how they differ.

    ``spelling``: only in case, blanks or signs. ``plural``: by an -s or -es. ``letter``: by one letter that is added,
    left out, replaced or swapped with its neighbour; digits are no letters, since ``step 1`` and ``step 2`` differ
    on purpose. The work grows with the length of the text, not with the number of pairs: labels that differ so share
    a form from which one letter is left out.
    """
    by_form: dict[str, set[str]] = defaultdict(set)
    for label in sorted(set(labels)):
        for form in _forms(plain(label)):
            by_form[form].add(label)
    pairs = {pair for group in by_form.values() if len(group) > 1 for pair in combinations(sorted(group), 2)}
    for one, other in sorted(pairs):
        if how := difference(one, other):
            yield one, other, how


def plain(label: str) -> str:
    """Return a label's letters and digits in small letters; the label itself if it has none."""
    return "".join(c for c in label.casefold() if c.isalnum()) or label


def difference(one: str, other: str) -> How | None:
    """Return how two labels differ, if they are alike."""
    a, b = sorted((plain(one), plain(other)), key=len)
    if a == b:
        return "spelling"
    if b in (f"{a}s", f"{a}es") and len(b) >= MIN_LETTERS:
        return "plural"
    return "letter" if len(a) >= MIN_LETTERS and _one_letter_apart(a, b) else None


def _forms(text: str) -> set[str]:
    """Return what is left of a text without any one of its letters, without a plural's ending, and itself."""
    if len(text) < MIN_LETTERS:
        return {text}
    ending = {text[:-2]} if text.endswith("es") else set()
    return {text, *ending, *(text[:i] + text[i + 1 :] for i in range(len(text)))}


def _one_letter_apart(a: str, b: str) -> bool:
    first = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[first:], b[first:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    swapped = len(a) == 2 and a == b[::-1]
    return (swapped or max(len(a), len(b)) == 1) and not any(c.isdigit() for c in a + b)
