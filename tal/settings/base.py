"""What all groups of settings share."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

_SHORT = re.compile(r"[0-9./+-]{1,60}(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)


class Section(BaseModel):
    """A group of settings: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def _fraction(value: Any) -> Fraction:
    try:
        if not _SHORT.fullmatch(str(value)):  # 1e999999999 has as many digits
            raise ValueError(value)
        rate = Fraction(str(value)).limit_denominator(1_000_000)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{value!r} is not a rate; write 25, 29.97 or 30000/1001") from error
    if not 0 < rate <= 1000:
        raise ValueError(f"{value!r} is not a rate between 0 and 1000")
    return rate


Rate = Annotated[Fraction, BeforeValidator(_fraction), PlainSerializer(str)]
Side = Annotated[int, Field(ge=32, le=2160)]
