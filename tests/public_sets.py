"""Feature sets in the layouts that other people publish, written here with plain NumPy and text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pickled

Streams = Mapping[str, np.ndarray]
PEAK = 100.0


def streams(t: int, d: int = 4, peak: int = 0, seed: int = 0) -> dict[str, np.ndarray]:
    """Return both streams, small noise with one row (not for flow) that stands out in its first column."""
    rng = np.random.default_rng(seed)
    found = {name: rng.standard_normal((t, d)).astype(np.float32) for name in ("rgb", "flow")}
    found["rgb"][peak, 0] = PEAK
    return found


def both(one: Streams) -> np.ndarray:
    return np.concatenate([one["rgb"], one["flow"]], axis=1)


def wtalc(folder: Path, videos: Mapping[str, Streams], protocol: int = 2, **arrays: object) -> Path:
    path, notes = folder / "Tiny-I3D-JOINTFeatures.npy", folder / "Tiny-Annotations"
    notes.mkdir(parents=True)
    pickled.save(path, pickled.objects(*(both(one) for one in videos.values())), protocol)
    np.save(notes / "videoname.npy", np.array([name.encode() for name in videos]))
    for name, values in arrays.items():
        np.save(notes / f"{name}.npy", values, allow_pickle=True)  # type: ignore[arg-type]
    return path


def basnet(folder: Path, videos: Mapping[str, Streams], split: str = "test") -> Path:
    for name, one in videos.items():
        for stream, values in one.items():
            (folder / split / stream).mkdir(parents=True, exist_ok=True)
            np.save(folder / split / stream / f"{name}.npy", values)
    return folder


def stpn(folder: Path, videos: Mapping[str, Streams]) -> tuple[Path, Path]:
    for number, one in enumerate(videos.values(), start=1):
        for stream, values in one.items():
            (folder / f"{stream}_features").mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{stream}_features" / f"{number}.npy", values.astype(np.float64))
    names = folder / "names.txt"
    names.write_text("".join(f"{name}\n" for name in videos))
    return folder, names


def cmcs(folder: Path, videos: Mapping[str, Mapping[str, np.ndarray]], n_frames: int) -> Path:
    """Write crops (crops, T, D) of each stream to a folder of its own."""
    for name, one in videos.items():
        for stream, crops in one.items():
            (folder / f"val-{stream}-oversample").mkdir(parents=True, exist_ok=True)
            path = folder / f"val-{stream}-oversample" / f"{name}-{stream}.npz"
            np.savez(path, feature=crops, frame_cnt=n_frames, video_name=name)
    return folder


def npy(folder: Path, videos: Mapping[str, Streams]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in videos.items():
        np.save(folder / f"{name}.npy", both(one))
    return folder


def table(folder: Path, videos: Mapping[str, Streams]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in videos.items():
        rows = both(one)
        lines = [",".join(f"f{i}" for i in range(rows.shape[1]))]
        lines += [",".join(repr(float(value)) for value in row) for row in rows]
        (folder / f"{name}.csv").write_text("\n".join(lines))
    return folder


def autoloc(folder: Path, videos: Mapping[str, Streams]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in videos.items():
        rows = np.concatenate([one["flow"], one["rgb"]], axis=1)
        values = ";".join(repr(float(value)) for value in rows.ravel())
        (folder / f"{name}.tsv").write_text(f"{name}\t7\t{values}\t0.5;0.5\t1;1\n")
    return folder


def video_features(folder: Path, videos: Mapping[str, Streams], fps: float, length: int, step: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in videos.items():
        times = (np.arange(len(one["rgb"])) * step + length) / fps * 1000
        as_double = {stream: values.astype(np.float64) for stream, values in one.items()}
        np.savez(folder / f"{name}.npz", **as_double, fps=np.array(fps), timestamps_ms=times)  # type: ignore[arg-type]
    return folder
