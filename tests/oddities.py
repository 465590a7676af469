"""Small videos that are lawful and still misread: edit lists, mirroring, late pictures, colours, interlacing."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np

FIXED = 1 << 16
MATRICES = {
    "upright": (1, 0, 0, 1),
    "mirrored": (-1, 0, 0, 1),
    "upside down mirrored": (1, 0, 0, -1),
    "half turn": (-1, 0, 0, -1),
    "quarter right": (0, 1, -1, 0),
    "quarter left": (0, -1, 1, 0),
    "transposed": (0, 1, 1, 0),
    "anti-transposed": (0, -1, -1, 0),
}
"""Display matrices (a, b, c, d) of ISO 14496-12: a stored point (x, y) is shown at (a x + c y, b x + d y)."""


def display(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Change the display matrix of an MP4's first track."""
    a, b, c, d = (FIXED * value for value in matrix)
    content = bytearray(path.read_bytes())
    at = content.find(b"tkhd") + 44
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def as_shown(stored: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Move every pixel to where the matrix puts it."""
    a, b, c, d = matrix
    y, x = np.indices(stored.shape[:2])
    right, down = a * x + c * y, b * x + d * y
    shown = np.empty((np.ptp(down) + 1, np.ptp(right) + 1, 3), np.uint8)
    shown[down - down.min(), right - right.min()] = stored
    return shown


def cut(source: Path, path: Path, first: int) -> Path:
    """Copy packets so that frame `first`, of 25 per second, is shown at 0; a list cuts off what it needs before it."""
    key_pts, zero = Fraction(first // clips.GROUP * clips.GROUP, 25), Fraction(first, 25)
    with av.open(str(source)) as container, av.open(str(path), "w") as copy:
        stream = container.streams.video[0]
        target = copy.add_stream_from_template(stream)
        packets = [packet for packet in container.demux(stream) if packet.size]
        begin = next(i for i, packet in enumerate(packets) if packet.pts * packet.time_base >= key_pts)
        for packet in packets[begin:]:
            _shift(packet, -zero)
            packet.stream = target
            copy.mux(packet)
    return path


def late(source: Path, path: Path, by_s: Fraction) -> Path:
    """Copy a video so that its pictures begin after its sound, two seconds of silence."""
    with av.open(str(source)) as container, av.open(str(path), "w") as copy:
        stream = container.streams.video[0]
        target, sound = copy.add_stream_from_template(stream), copy.add_stream("pcm_s16le", rate=8000, layout="mono")
        for packet in container.demux(stream):
            if packet.size:
                _shift(packet, by_s)
                packet.stream = target
                copy.mux(packet)
        for start in range(0, 16000, 1000):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, start
            copy.mux(sound.encode(frame))
        copy.mux(sound.encode(None))
    return path


def _shift(packet: av.Packet, by_s: Fraction) -> None:
    ticks = int(by_s / packet.time_base)
    packet.pts += ticks
    packet.dts += ticks


def plain(path: Path, yuv: tuple[int, int, int], **flags: int) -> Path:
    """Write three lossless frames of one colour, with the stream's flags by their numbers in ITU-T H.273."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        for name, value in flags.items():
            setattr(stream.codec_context, name, value)
        for index in range(3):
            frame = av.VideoFrame(64, 48, "yuv444p")
            for plane, level in zip(frame.planes, yuv, strict=True):
                plane.update(bytes([level]) * plane.buffer_size)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def mpeg(
    path: Path, n_frames: int, options: dict[str, str] | None = None, noise: int = 0, size: tuple[int, int] = (160, 128)
) -> Path:
    """Write MPEG-2 with any options of the encoder, the pictures of `clips` under noise of +-`noise` levels."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, "yuv420p", clips.GROUP
        stream.options = options or {}
        for index in range(n_frames):
            rgb = clips.picture(index, size) + rng.integers(-noise, noise + 1, (size[1], size[0], 3))
            frame = av.VideoFrame.from_ndarray(rgb.clip(0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


INTERLACED = {"flags": "+ildct+ilme"}
