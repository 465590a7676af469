"""What became of a video's frames, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extract.decoders._base import VideoInfo

NOTABLE_S = 0.2
"""Without other damage, shorter gaps are not worth a word: cameras drop a frame now and then."""


@dataclass(frozen=True, slots=True)
class DecodeReport:
    """What became of one video's frames.

    Attributes:
        n_claimed: Frames the file claims to hold; None where it does not say.
        n_decoded: Frames that were decoded.
        n_bad_packets: Packets that could not be read or decoded.
        n_damaged: Frames of which parts are the decoder's guess.
        gaps: When pictures are missing, (start, end) in seconds; the last good picture is held there.
        n_frames: Frames given out, at the constant rate.
        end_s: Presentation time at which the last frame ends, seconds.
    """

    n_claimed: int | None
    n_decoded: int
    n_bad_packets: int
    n_damaged: int
    gaps: tuple[tuple[float, float], ...]
    n_frames: int
    end_s: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DecodeReport:
        """Rebuild a report from what `dataclasses.asdict` made of it."""
        gaps = tuple((float(start_s), float(end_s)) for start_s, end_s in values["gaps"])
        return cls(**{**values, "gaps": gaps})

    def remark(self) -> str:
        """Return in a few words what is wrong with the video; empty where nothing is worth a word."""
        long = [gap for gap in self.gaps if gap[1] - gap[0] >= NOTABLE_S]
        return damage(self.gaps if long or self.n_bad_packets else (), self.n_bad_packets, self.n_damaged)


def damage(gaps: Sequence[tuple[float, float]], n_bad_packets: int, n_damaged: int) -> str:
    """Describe damage in a few words; empty where there is none."""
    held_s = sum(end_s - start_s for start_s, end_s in gaps)
    at = ", ".join(f"{start_s:.2f}" for start_s, _ in gaps[:5]) + (", ..." if len(gaps) > 5 else "")
    parts = [
        f"no pictures for {held_s:.2f} s (from {at} s)" if gaps else "",
        f"{n_bad_packets} bad packet{'s' * (n_bad_packets > 1)}" if n_bad_packets else "",
        f"{n_damaged} damaged frame{'s' * (n_damaged > 1)}" if n_damaged else "",
    ]
    return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Survey:
    """What reading a video shows, without converting its pixels.

    Attributes:
        info: What the file says about itself.
        complete: Whether all frames were read, or only the first ones.
        n_decoded: Frames that were decoded.
        n_bad_packets: Packets that could not be read or decoded.
        n_damaged: Frames of which parts are the decoder's guess.
        gaps: When pictures are missing, (start, end) in seconds.
        end_s: When the last frame that was read ends, seconds.
        fps: Frames per second over what was read; None for a single frame.
        variable: Whether the steps between frames differ; None for fewer than three frames.
    """

    info: VideoInfo
    complete: bool
    n_decoded: int
    n_bad_packets: int
    n_damaged: int
    gaps: tuple[tuple[float, float], ...]
    end_s: float
    fps: float | None
    variable: bool | None
