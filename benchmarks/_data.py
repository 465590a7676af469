"""Real clips that benchmarks are made of; they lie beside the checkout and never in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tal.errors import InputError

SHARED = Path(__file__).resolve().parents[2] / "shared"


def need(path: Path) -> Path:
    """Return a path of the shared data.

    Raises:
        InputError: If it is not there.
    """
    if not path.exists():
        raise InputError(f"this benchmark needs {path}; it runs from a checkout with the shared test data beside it")
    return path


def weizmann(out: Path, n_train: int, n_test: int) -> Path:
    """Compose untrimmed videos with known segments from the Weizmann clips; return their folder."""
    script, clips = need(SHARED / "bench" / "weizmann_untrimmed.py"), need(SHARED / "data" / "actions" / "weizmann")
    command = [sys.executable, str(script), str(out), "--clips", str(clips)]
    subprocess.run([*command, "--train", str(n_train), "--test", str(n_test)], check=True, stdout=subprocess.DEVNULL)
    return out


def loop(clip: Path, out: Path, seconds: int) -> Path:
    """Write a video of `seconds` by repeating a clip's frames, 640x360, 25 fps, H.264."""
    import av

    with av.open(str(clip)) as source:
        frames = [f.reformat(640, 360, "yuv420p").to_ndarray() for f in islice(source.decode(video=0), 250)]
    with av.open(str(out), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for i in range(seconds * 25):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(frames[i % len(frames)], "yuv420p")))
        target.mux(stream.encode())
    return out


def encode(clip: Path, out: Path, size: tuple[int, int], n_frames: int) -> Path:
    """Write `n_frames` of `size` (width, height) from a clip played to and fro: 25 fps, H.264 as x264 makes it.

    That is the preset medium at CRF 23: key frames up to 250 frames apart, three B frames in a row.
    """
    import av

    with av.open(str(clip)) as source:
        frames = [f.reformat(*size, "yuv420p").to_ndarray() for f in islice(source.decode(video=0), 150)]
    frames += frames[-2:0:-1]
    with av.open(str(out), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"preset": "medium", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = 250  # x264's default; PyAV's is 12
        for i in range(n_frames):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(frames[i % len(frames)], "yuv420p")))
        target.mux(stream.encode())
    return out


def repeat(video: Path, out: Path, times: int) -> Path:
    """Write a video several times over without encoding it again."""
    import av

    stream: Any = None
    with av.open(str(out), "w") as target:
        for turn in range(times):
            with av.open(str(video)) as source:
                stream = stream or target.add_stream_from_template(source.streams.video[0])
                target.mux(list(_shifted(source, stream, turn)))
    return out


def _shifted(source: Any, stream: Any, turn: int) -> Iterator[Any]:
    """Yield a file's packets for a stream in which it has been played `turn` times before."""
    length = source.streams.video[0].duration
    for packet in source.demux(video=0):
        if packet.dts is not None:
            packet.stream = stream
            packet.pts, packet.dts = packet.pts + turn * length, packet.dts + turn * length
            yield packet
