"""Changes of a file's bytes: what transfers and people do to them, and the words that trip parsers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

NUMBERS = (b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x80", b"\x01")
WORDS = (
    *(b'"', b"[", b"{", b"]", b"}", b"'", b",", b";", b"\r", b"\n", b"\t", b"\x00", b":", b"&", b"<", b"-->"),
    *(b"NaN", b"Infinity", b"1e999", b"-1", b"-0.0", b"99999999999999999999", b"1/0", b"0x", b"null", b"true"),
    *(b"\xed\xa0\x80", b"\\ud800", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"\x1b[31m", b"../../x"),
    *(b"&a [*a]", b"*t", b"? ", b"<<: ", b"!!int '_'", b"!!float ''", b"!!python/name:os.system", b"2024-99-99"),
    *(b"<!DOCTYPE a [<!ENTITY a 'a'>]>", b"&a;", b"cposix\nsystem\n", b"9" * 5000, b"[" * 2000, b"a" * 3000),
)  # fmt: skip

Change = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def flip(content: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Turn one bit over."""
    if not content:
        return b"\x01"
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def number(content: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Write a number that is the largest, the least, or none over some bytes."""
    at, width = chance.randrange(len(content) + 1), chance.choice((1, 2, 4, 8))
    return content[:at] + chance.choice(NUMBERS)[:width] + content[at + width :]


def word(content: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Put a word in, or over as many bytes."""
    at, text = chance.randrange(len(content) + 1), chance.choice(WORDS)
    return content[:at] + text + content[at + chance.choice((0, 0, 1, len(text))) :]


def drop(content: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Leave some bytes out."""
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[at + chance.randrange(1, 20) :]


def repeat(content: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Write some bytes again."""
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[max(0, at - chance.randrange(1, 30)) : at] * chance.randrange(1, 4) + content[at:]


def cut(content: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """End early."""
    return content[: chance.randrange(len(content) + 1)]


def cross(content: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Go on as another good file does."""
    other = chance.choice(others)
    return content[: chance.randrange(len(content) + 1)] + other[chance.randrange(len(other) + 1) :]


CHANGES: tuple[Change, ...] = (flip, number, word, drop, repeat, cut, cross)


def changed(content: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Return `content` with one to four changes."""
    for _ in range(chance.randint(1, 4)):
        content = chance.choice(CHANGES)(content, chance, others)
    return content
