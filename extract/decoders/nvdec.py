"""NVIDIA's hardware decoder through PyAV, whose packages carry it: nothing to install but the driver.

The hardware decodes; packets, times and colours are those of `extract.decoders.pyav`. Pictures come down as NV12 or
P010 and are rearranged to the planes that FFmpeg's own decoders give, so a clean file comes out bit for bit the same; a
small clip is decoded both ways before the hardware is used at all. At the first sign of damage, and for codecs that
the hardware lacks, reading goes on in software. Damage inside a picture's data is the one thing that it does not tell.
It has not been measured on a device.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from extract.decoders import pyav
from extract.decoders._base import Tally, TimedFrame, VideoInfo
from tal.errors import TalError

PRIORITY = 20
MISREADS: dict[str, str] = {}
DRIVER = Path("/proc/driver/nvidia/version")


def missing() -> str | None:
    """Return why this decoder cannot be used here, or None; loads PyAV only where there is an NVIDIA driver."""
    if reason := pyav.missing():
        return reason
    return _trial() if DRIVER.exists() else "this machine has no NVIDIA driver"


class Backend:
    """Decode with NVIDIA hardware."""

    name = "nvdec"

    def __init__(self) -> None:
        self._decoder = pyav.Backend(threads=1, hwaccel=_accelerator())

    def probe(self, path: Path) -> VideoInfo:
        """Return what the file says about its video."""
        return self._decoder.probe(path)

    def frames(self, path: Path, tally: Tally | None = None) -> Iterator[TimedFrame]:
        """Yield the frames in presentation order."""
        return self._decoder.frames(path, tally)


def _accelerator() -> Any:
    from av.codec.hwaccel import HWAccel

    return HWAccel("cuda", allow_software_fallback=True)


@cache
def _trial() -> str | None:
    """Decode a small clip with the hardware and without; return why the hardware is not to be used, or None."""
    from av import Codec
    from av.codec.codec import UnknownCodecError
    from av.error import FFmpegError

    try:
        _accelerator().create(Codec("h264", "r"))
        with TemporaryDirectory() as folder:
            clip = _clip(Path(folder) / "clip.mp4")
            return None if same_pictures(Backend(), pyav.Backend(threads=1), clip) else "it decodes a test clip wrongly"
    except UnknownCodecError:
        return "this PyAV cannot encode the clip that it would be tried on"
    except (FFmpegError, NotImplementedError, TalError) as error:
        return f"the hardware cannot be used ({' '.join(str(error).split())})"


def same_pictures(one: Any, other: Any, path: Path) -> bool:
    """Return whether two decoders give the same times and the same pixels."""
    pairs = zip_longest(one.frames(path), other.frames(path))
    return all(a and b and a.time_s == b.time_s and np.array_equal(a.rgb(), b.rgb()) for a, b in pairs)


def _clip(path: Path) -> Path:
    """Write 24 pictures of moving noise as H.264 with B-frames."""
    import av

    noise = np.random.default_rng(0).integers(0, 256, (180, 320), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for i in range(24):
            picture = np.repeat(np.roll(noise, (i, 2 * i), (0, 1))[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path
