"""Good videos to be mutated: one moving texture in many containers and codecs, each encoder on one thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

N_FRAMES, FPS, GROUP = 96, 25, 12
"""Frames, frames per second, frames from key frame to key frame."""
WIDTH, HEIGHT = 160, 120


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a source is made.

    Attributes:
        name: Its file name.
        codec: The encoder.
        container: FFmpeg's name of the container; empty for what the suffix says.
        options: The encoder's options.
        muxing: The container's options.
        pixel_format: FFmpeg's name.
    """

    name: str
    codec: str
    container: str = ""
    options: dict[str, str] = field(default_factory=dict)
    muxing: dict[str, str] = field(default_factory=dict)
    pixel_format: str = "yuv420p"


_X264 = {"preset": "ultrafast", "bf": "2"}
_X265 = {"preset": "ultrafast", "x265-params": f"log-level=none:keyint={GROUP}:pools=none:frame-threads=1"}
_VPX = {"deadline": "realtime", "cpu-used": "8"}
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}

RECIPES = (
    Recipe("h264.mp4", "libx264", options=_X264, muxing={"movflags": "faststart"}),
    Recipe("h264_index_last.mp4", "libx264", options=_X264),
    Recipe("h264_fragmented.mp4", "libx264", options=_X264, muxing=_FRAGMENTED),
    Recipe("h264.mkv", "libx264", options=_X264),
    Recipe("h264.flv", "libx264", options=_X264),
    Recipe("h264.ts", "libx264", options=_X264),
    Recipe("mpeg4.avi", "mpeg4"),
    Recipe("mjpeg.avi", "mjpeg", pixel_format="yuvj420p"),
    Recipe("mpeg2.ts", "mpeg2video", options={"bf": "2"}),
    Recipe("mpeg2.vob", "mpeg2video", "vob"),
    Recipe("mpeg1.mpg", "mpeg1video", "mpeg"),
    Recipe("mpeg4.mp4", "mpeg4", options={"bf": "2"}, muxing={"movflags": "faststart"}),
    Recipe("h265.mp4", "libx265", options=_X265, muxing={"movflags": "faststart"}),
    Recipe("vp8.webm", "libvpx", options=_VPX),
    Recipe("vp9.webm", "libvpx-vp9", options=_VPX),
    Recipe("flv1.flv", "flv"),
    Recipe("wmv2.wmv", "wmv2", "asf"),
)


def make(folder: Path) -> list[Path]:
    """Write the sources for which PyAV has an encoder here; return their paths."""
    texture = _texture()
    return [_write(folder / recipe.name, recipe, texture) for recipe in RECIPES if _has_encoder(recipe.codec)]


def _has_encoder(codec: str) -> bool:
    import av

    try:
        av.Codec(codec, "w")
    except ValueError:  # what PyAV's unknown codec is
        return False
    return True


def _texture() -> Any:
    """Return a smooth random picture, uint8 (H, W, 3): each frame shows it moved on, so every packet carries weight."""
    import cv2

    noise = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return cv2.normalize(smooth, np.empty_like(smooth), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def _write(path: Path, recipe: Recipe, texture: Any) -> Path:
    import av

    with av.open(str(path), "w", format=recipe.container or None, options=recipe.muxing) as container:
        stream: Any = container.add_stream(recipe.codec, rate=FPS, options=recipe.options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, recipe.pixel_format
        stream.codec_context.gop_size, stream.codec_context.thread_count = GROUP, 1
        for index in range(N_FRAMES):
            rgb = np.ascontiguousarray(np.roll(texture, (2 * index, 3 * index), (0, 1)))
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
