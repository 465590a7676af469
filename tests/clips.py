"""Small videos for tests, each frame with its index in its pixels.

Upper half: the index as ten blocks, black 0 and white 1, the highest bit left. Lower half: red left, blue right.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

N_BITS = 10
GROUP = 12
"""Frames from key frame to key frame."""
CODEC = "libx264" if "libx264" in av.codecs_available else "mpeg4"


def picture(index: int, size: tuple[int, int] = (160, 120)) -> np.ndarray:
    """Return the uint8 RGB picture (H, W, 3) of a frame."""
    width, height = size
    rgb = np.zeros((height, width, 3), np.uint8)
    bit = np.arange(width) * N_BITS // width
    rgb[: height // 2] = (index >> (N_BITS - 1 - bit) & 1)[None, :, None] * 255
    rgb[height // 2 :, : width // 2, 0] = 255
    rgb[height // 2 :, width // 2 :, 2] = 255
    return rgb


def index_of(rgb: np.ndarray) -> int:
    """Read the index back from a picture of any size."""
    height, width = rgb.shape[:2]
    columns = ((np.arange(N_BITS) + 0.5) * width / N_BITS).astype(int)
    bits = rgb[height // 4, columns].mean(axis=1) > 127
    return int("".join("01"[int(bit)] for bit in bits), 2)


def write(
    path: Path,
    pts: Sequence[int],
    time_base: Fraction = Fraction(1, 25),
    size: tuple[int, int] = (160, 120),
    rotation: int = 0,
    pix_fmt: str = "yuv420p",
    codec: str = CODEC,
) -> Path:
    """Write one frame per timestamp; `rotation` is clockwise, as a player turns it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1 / time_base)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = time_base
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "18", "bf": "2", "g": str(GROUP)}
        else:
            stream.gop_size = GROUP
        if rotation:
            stream.set_display_rotation(-rotation)
        for index, stamp in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(picture(index, size), format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_audio(path: Path) -> Path:
    """Write half a second of silence and no pictures."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, 8192, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def packet_spans(path: Path) -> list[tuple[int, int]]:
    """Return where in the file each packet lies, from its first byte to behind its last, in storage order."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.pos + packet.size) for packet in container.demux(video=0) if packet.size]


def lose(path: Path, packets: range) -> Path:
    """Destroy packets, in storage order."""
    content = bytearray(path.read_bytes())
    for start, end in packet_spans(path)[packets.start : packets.stop]:
        content[start:end] = b"\xff" * (end - start)
    path.write_bytes(content)
    return path


def damage(path: Path, seed: int, n_holes: int = 4, n_bytes: int = 64) -> set[int]:
    """Overwrite parts of a file with noise; return the indices of the groups of pictures that they hit."""
    spans = packet_spans(path)
    rng = np.random.default_rng(seed)
    holes = rng.integers(spans[GROUP][0], spans[-1][1] - n_bytes, n_holes)  # the first group stays whole
    content = bytearray(path.read_bytes())
    for hole in holes:
        content[hole : hole + n_bytes] = rng.bytes(n_bytes)
    path.write_bytes(content)
    hit = (any(start < hole + n_bytes and hole < end for hole in holes) for start, end in spans)
    return {i // GROUP for i, is_hit in enumerate(hit) if is_hit}
