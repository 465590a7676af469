"""Real clips that benchmarks are made of; they lie beside the checkout and never in it."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path

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
