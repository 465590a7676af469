"""Numbers in long lines of text, read piece by piece."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tal.errors import InputError
from tal.files import CHUNK
from tal.types import FloatArray


def numbers(text: bytes, separator: bytes, place: str) -> FloatArray:
    """Return the numbers of a line, float32 (N,).

    Raises:
        InputError: If something between the separators is no number.
    """
    pieces, at = [], 0
    while at < len(text):
        end = len(text) if len(text) - at <= CHUNK else text.rfind(separator, at, at + CHUNK)
        if end < 0:
            raise InputError(f"{place}: a number of more than {CHUNK} characters; get the file again")
        try:
            values = np.array(list(map(float, text[at:end].split(separator))))
            with np.errstate(over="ignore"):
                pieces.append(values.astype(np.float32))
        except ValueError as error:
            raise InputError(f"{place}: not numbers ({str(error)[:80]}); get the file again") from error
        at = end + len(separator)
    return np.concatenate(pieces) if pieces else np.empty(0, np.float32)


def csv_rows(path: Path) -> FloatArray:
    """Return the rows of a CSV of numbers without its header, float32 (T, D).

    Raises:
        InputError: If it cannot be read, or a row is of another length than the first.
    """
    try:
        lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if len(lines) < 2:
        raise InputError(f"{path}: no rows under a header; get the file again")
    width = len(lines[0].split(b","))
    rows = np.empty((len(lines) - 1, width), np.float32)
    for i, line in enumerate(lines[1:]):
        row = numbers(line.strip(), b",", f"{path}, line {i + 2}")
        if len(row) != width:
            raise InputError(f"{path}, line {i + 2}: {len(row)} numbers under {width} columns; get the file again")
        rows[i] = row
    return rows
