"""Every decoder that this machine can use, what each refuses by name, and what one shows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import clips
import pytest

from extract import decoders
from extract.decoders._base import Decoder
from tal.errors import VideoError

USABLE = [name for name, reason in decoders.available().items() if reason is None]
CODECS = {"avi": "mpeg4", "mpg": "mpeg2video", "wmv": "wmv2", "gif": "gif"}
"""What the formats hold here: AVI has no presentation timestamps, so no frames that are stored out of order."""
REFUSED = {
    ("decord", "ts"): "loses the first pictures of MPEG transport streams",
    ("decord", "mpg"): "misplaces pictures of MPEG program streams",
    ("decord", "gif"): "cannot decode it",
    ("decord", "mirrored"): "turns mirrored pictures instead",
    ("opencv", "interlaced"): "leaves the pixels of interlaced pictures unset",
    ("opencv", "wide colours"): "changes the colours of HDR and wide-gamut pictures",
    ("opencv", "name"): "cannot open a file whose name is not UTF-8",
    ("decord", "name"): "cannot open a file whose name is not UTF-8",
}


@pytest.fixture(params=USABLE)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    return decoders.load(request.param)


def refuses(decoder: Decoder, path: Path, case: str) -> bool:
    """Return whether this decoder is to refuse this case, having seen that it does."""
    reason = REFUSED.get((decoder.name, case))
    if reason is None:
        return False
    decoder.probe(path)
    with pytest.raises(VideoError) as caught:
        next(iter(decoder.frames(path)))
    assert str(caught.value) == f"{path}: {decoder.name} {reason}; use the decoder 'pyav'"
    return True


def shown(decoder: Decoder, path: Path) -> list[tuple[int, Fraction]]:
    return [(clips.index_of(frame.rgb()), frame.time_s) for frame in decoder.frames(path)]
