"""Decoding: frames per second and memory against other libraries, and agreement with the ffmpeg program.

A real clip is encoded at 320x240 and 1280x720 as x264 does by default. Each library reads it in a process of its own,
in turn, several times over; the quickest time of each counts. "full size" ends with the RGB array of each frame,
"short side 256" with the array that features are made from. Memory is the peak above what importing takes; a slow
reader waits 20 ms after each frame, as flow and networks would let it wait. "pyav, bare" leaves out all that makes
reading safe and shows what that costs, so it is no peer. Agreement counts the real files of which we show the frames
that the program shows at 25 fps. `--quick`: short videos, two rounds, every fifth file.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import _program
from _data import SHARED, encode, need, repeat
from _process import script
from _readers import READERS

from tal.bench import Row
from tal.progress import Progress

VIDEOS = {(320, 240): 1500, (1280, 720): 500}
"""Width and height, and frames at 25 fps; `--quick` divides them by 5."""
CASES = {"full size": 0, "short side 256": 256}
NOT_A_PEER = "pyav, bare"
PAUSE_S = 0.02
GOAL_MIB, GROWTH = 200, 1.2
EXPLAINED = {
    "decord_corrupted.mp4",
    "exo_sample.flv",
    "flipping_a_pancake.mkv",
    "h264_10bits.mp4",
    "max_baseball.mp4",
    "mp4parser_count-video.mp4",
}
"""Files in which ffmpeg may show something else; tests/test_ffmpeg.py says why, and what holds instead."""


def run(quick: bool, progress: Progress) -> list[Row]:
    """Measure speed, memory, agreement and the cost of a look at a file."""
    with tempfile.TemporaryDirectory() as folder:
        videos = _videos(Path(folder), 5 if quick else 1)
        rows = _speeds(videos, 2 if quick else 9, progress)
        rows += _memory(videos[-1], progress)
    return [*rows, *_agreement(5 if quick else 1, progress), *_looks()]


def _videos(folder: Path, divisor: int) -> list[Path]:
    clip = need(SHARED / "data" / "actions" / "single" / "max_baseball.mp4")
    return [encode(clip, folder / f"{w}x{h}.mp4", (w, h), n // divisor) for (w, h), n in VIDEOS.items()]


def _readers() -> list[str]:
    return [name for name, (_, library) in READERS.items() if find_spec(library)]


def _read(name: str, video: Path, short_side: int, pause_s: float = 0.0) -> dict[str, Any]:
    """Read a video in a process of its own."""
    answer = script(Path(__file__).with_name("_readers.py"), name, video, short_side, pause_s)
    if not answer["n_frames"]:
        raise RuntimeError(f"{name} found no frames in {video}")
    return answer


def _speeds(videos: Sequence[Path], n_rounds: int, progress: Progress) -> list[Row]:
    """Let all readers read in turn; keep the best of each."""
    readers = _readers()
    rows: list[Row] = []
    with progress.task("speed", len(videos) * len(CASES) * n_rounds, "rounds") as bar:
        for video in videos:
            for case, short_side in CASES.items():
                best = dict.fromkeys(readers, 0.0)
                for _ in range(n_rounds):
                    for name in readers:
                        answer = _read(name, video, short_side)
                        best[name] = max(best[name], answer["n_frames"] / answer["seconds"])
                    bar.advance(1, f"{video.stem}, {case}")
                rows += _ranked(f"{video.stem}, {case}", best)
    return rows


def _ranked(what: str, best: dict[str, float]) -> Iterator[Row]:
    """Yield a row per reader, the fastest peer first; it is the one to beat."""
    ours = best.pop("ours")
    fastest = max((name for name in best if name != NOT_A_PEER), key=best.__getitem__)
    for name in sorted(best, key=best.__getitem__, reverse=True):
        goal, met = (">= the fastest peer", ours >= best[name]) if name == fastest else ("", None)
        yield Row(f"{what}, against {name}", ours, "frames/s", best[name], goal, met)


def _memory(video: Path, progress: Progress) -> list[Row]:
    """Measure peak memory over the length of the video, and with a reader that is slower than the decoder."""
    peers = [name for name in _readers() if name not in {"ours", NOT_A_PEER}]
    short, long = (repeat(video, video.with_stem(f"{video.stem} x {n}"), n) for n in (3, 30))
    with progress.task("memory", 3 + 2 * len(peers), "videos") as bar:

        def peak_mib(name: str, path: Path, pause_s: float = 0.0) -> float:
            found: float = _read(name, path, 256, pause_s)["peak_mib"]
            bar.advance(1, f"{name}, {path.stem}")
            return found

        ours, grown, slow = peak_mib("ours", short), peak_mib("ours", long), peak_mib("ours", video, PAUSE_S)
        met = grown <= min(GOAL_MIB, GROWTH * ours)
        goal = f"<= {GOAL_MIB} MiB, ratio <= {GROWTH}"
        rows = [Row("memory over import, 10 times the length", grown, "MiB", ours, goal, met)]
        for name in peers:
            rows.append(_memory_row(f"memory over import, against {name}", ours, peak_mib(name, short)))
            slow_peer = peak_mib(name, video, PAUSE_S)
            rows.append(_memory_row(f"memory over import, slow reader, against {name}", slow, slow_peer))
    return rows


def _memory_row(name: str, ours: float, peer: float) -> Row:
    return Row(name, ours, "MiB", peer, f"<= {GOAL_MIB} MiB", ours <= GOAL_MIB)


def _files(step: int = 1) -> list[Path]:
    """Return the real files."""
    data = need(SHARED / "data")
    parts = (data / "actions" / "single", data / "actions" / "weizmann", data / "nasty")
    return [path for part in parts for path in sorted(part.rglob("*.*"))][::step]


def _agreement(step: int, progress: Progress) -> list[Row]:
    """Compare frames with the ffmpeg program where there is one."""
    if not _program.available():
        return []
    files = _files(step)
    with progress.task("agreement", len(files), "files") as bar:
        found = _program.compare(files, lambda name: bar.advance(1, name))
    not_the_same = f" (not: {', '.join(found.others)})" if found.others else ""
    goal = "all whose difference tests/test_ffmpeg.py does not explain"
    return [
        Row(
            f"files shown as ffmpeg shows them{not_the_same}",
            found.n_same,
            "files",
            found.n_read,
            goal,
            set(found.others) <= EXPLAINED,
        ),
        Row("of these to the bit", found.n_identical, "files", found.n_read),
        Row("frames compared with ffmpeg's", found.n_frames, "frames"),
    ]


def _looks() -> list[Row]:
    """Time a look at a file, up to its first frame; the better of two, so that the files are in memory."""
    from extract.decoders import load

    files = [path for path in _files() if path.parts[-2] != "nasty"]
    ours = _mean_ms(files, load("pyav").probe)
    peer = _mean_ms(files, _first_frame) if find_spec("cv2") else None
    return [Row(f"look at a file, mean of {len(files)}, against opencv", ours, "ms", peer)]


def _first_frame(path: Path) -> None:
    import cv2

    cv2.VideoCapture(str(path)).read()


def _mean_ms(files: Sequence[Path], look: Callable[[Path], object]) -> float:
    total_s = 0.0
    for path in files:
        times_s = []
        for _ in range(2):
            started = time.perf_counter()
            look(path)
            times_s.append(time.perf_counter() - started)
        total_s += min(times_s)
    return 1000 * total_s / len(files)
