"""What comes with frames besides their pixels: it is read safely, and keeps no frame alive."""

from __future__ import annotations

import gc
import struct
from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np

from extract import decoders
from extract.video import open_video


def n_frames_alive() -> int:
    return sum(type(thing) is av.VideoFrame for thing in gc.get_objects())


def test_frames_go_without_a_search_for_cycles(tmp_path: Path) -> None:
    """A 4K frame is 12 MB, and Python may look for cycles only after hundreds of them."""
    path = clips.write(tmp_path / "a.mp4", range(300), size=(32, 24))
    gc.collect()
    n_before = n_frames_alive()  # of other tests
    gc.disable()
    try:
        for n_read, frame in enumerate(decoders.load("pyav").frames(path), start=1):  # noqa: B007
            frame.rgb()
        n_alive = n_frames_alive() - n_before
    finally:
        gc.enable()
    assert n_read == 300
    assert n_alive < 10


def test_photos_with_exif(tmp_path: Path) -> None:
    """FFmpeg hands Exif on with each frame; its orientation 6 means: turn a quarter clockwise."""
    landscape = clips.picture(5, (160, 120))
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(landscape, "rgb24").reformat(format="yuvj420p")
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            photo = av.Packet(_with_exif(bytes(packet), orientation=6))
            photo.stream, photo.pts, photo.dts, photo.time_base = stream, 0, 0, packet.time_base
            container.mux(photo)
    (rgb,) = open_video(path, Fraction(25), 120)
    assert rgb.shape in {(160, 120, 3), (120, 160, 3)}  # FFmpeg before 8 leaves Exif alone
    upright = np.rot90(rgb) if rgb.shape[0] == 160 else rgb
    assert clips.index_of(upright) == 5


def _with_exif(jpeg: bytes, orientation: int) -> bytes:
    """Put an Exif segment behind a JPEG's first marker (Exif 2.3, section 4.5; TIFF 6.0, section 2)."""
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
