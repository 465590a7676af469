"""Writes the demo's videos, their labels and their ground truth.

In each video one person performs one class (in one in five videos two) two or three times, and stands or strolls
in between while clutter moves in the background. The defaults make 36 videos of 9 to 16 s, about 5600 frames in all.
The same options give the same segments and, before encoding, the same frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from tal.demo.clutter import Clutter, scatter
from tal.demo.drawing import Look, Stage, draw_person
from tal.demo.figures import ACTIONS, Pose, stand, walk
from tal.demo.scenery import Canvas, hsv, paint
from tal.demo.scripts import DEFAULTS, DemoOptions, Part, Script, ground_truth, labels_csv, plan
from tal.files import atomic_path, write_atomic
from tal.progress import Progress, Silent
from tal.types import ByteArray

OVERSAMPLING = 4  # frames are drawn larger and averaged down: smooth edges, motion in fractions of a pixel
EASE_S = 0.2  # from one pose to another
SKINS = ((255, 219, 185), (236, 188, 148), (198, 142, 102), (141, 92, 62), (94, 62, 46))


@dataclass(frozen=True, slots=True)
class DemoSet:
    """Where things were written.

    Attributes:
        videos: Folder of ``train_NNNN.mp4`` and ``test_NNNN.mp4``.
        labels: CSV ``video,label`` of the training videos, one row per label.
        annotations: Ground truth of all videos, ActivityNet style, seconds.
    """

    videos: Path
    labels: Path
    annotations: Path


def render(out: Path, options: DemoOptions = DEFAULTS, progress: Progress | None = None) -> DemoSet:
    """Write videos, labels and annotations below `out`.

    Raises:
        StorageError: If the disk is full or not writable.
    """
    scripts = plan(options)
    made = DemoSet(out / "videos", out / "labels.csv", out / "annotations.json")
    with (progress or Silent()).task("Rendering videos", len(scripts), "video") as task:
        for script in scripts:
            encode(frames(script, options), made.videos / f"{script.name}.mp4", options)
            task.advance(1, script.name)
    write_atomic(made.labels, labels_csv(scripts))
    write_atomic(made.annotations, json.dumps(ground_truth(scripts, options.fps), indent=1) + "\n")
    return made


@dataclass(frozen=True, slots=True)
class World:
    """What does not change within one video.

    Attributes:
        scene: The background, uint8 (H, W, 3), oversampled.
        clutter: What moves in it.
        look: The person's colours.
        height: The person's height, as a share of the frame's.
        tempo: How fast actions are, relative.
        mirror: Whether actions are mirrored.
    """

    scene: ByteArray
    clutter: tuple[Clutter, ...]
    look: Look
    height: float
    tempo: float
    mirror: bool


def frames(script: Script, options: DemoOptions = DEFAULTS) -> Iterator[ByteArray]:
    """Yield the frames of a video, uint8 (H, W, 3), RGB."""
    import cv2

    width, height = options.size
    world = _world(np.random.default_rng(script.seed), width * OVERSAMPLING, height * OVERSAMPLING)
    for part in script.parts:
        for i in range(part.start, part.end):
            large = _frame(world, part, i, float(options.fps))
            yield np.asarray(cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _world(rng: Generator, width_px: int, height_px: int) -> World:
    scene = paint(rng, width_px, height_px)
    hue = rng.random()
    look = Look(
        skin=SKINS[int(rng.integers(len(SKINS)))],
        hair=hsv(rng.uniform(0.02, 0.1), rng.uniform(0.3, 0.8), rng.uniform(0.12, 0.7)),
        shirt=hsv(hue, 0.8, 0.9),
        trousers=hsv(hue + rng.uniform(0.3, 0.7), 0.6, rng.uniform(0.35, 0.6)),
        shoes=hsv(rng.random(), 0.2, rng.uniform(0.2, 0.95)),
    )
    clutter = scatter(rng, width_px / height_px)
    return World(
        scene, clutter, look, float(rng.uniform(0.56, 0.62)), float(rng.uniform(0.9, 1.15)), bool(rng.random() < 0.5)
    )


def _frame(world: World, part: Part, i: int, fps: float) -> ByteArray:
    height_px, width_px = world.scene.shape[:2]
    canvas = Canvas(width_px, height_px)
    canvas.pixels[:] = world.scene
    for thing in world.clutter:
        thing.draw(canvas, i / fps)
    done = (i - part.start) / (part.end - part.start)
    column = width_px * (part.start_x + done * (part.end_x - part.start_x))
    stage = Stage(column, 0.9 * height_px, world.height * height_px)
    draw_person(canvas.pixels, _pose(world, part, i, fps), world.look, stage)
    return canvas.pixels


def _pose(world: World, part: Part, i: int, fps: float) -> Pose:
    """Return the pose in frame `i`; every part begins and ends standing still."""
    still = stand(i / fps)
    if part.kind == "stand":
        return still
    t, duration_s = (i - part.start) / fps, (part.end - part.start) / fps
    if part.kind == "walk":
        aspect = world.scene.shape[1] / world.scene.shape[0]
        way = abs(part.end_x - part.start_x) * aspect / world.height  # body heights
        pose, mirror = walk(way * t / duration_s), part.end_x < part.start_x
    else:
        pose, mirror = ACTIONS[part.kind](t * world.tempo, duration_s * world.tempo), world.mirror
    weight = min(1.0, t / EASE_S, (duration_s - t) / EASE_S)
    return still.blend(pose.mirrored() if mirror else pose, weight)


def encode(pictures: Iterable[ByteArray], path: Path, options: DemoOptions = DEFAULTS) -> None:
    """Write a video as MP4: H.264, or MPEG-4 part 2 where PyAV has no x264.

    Raises:
        StorageError: If the disk is full or not writable.
    """
    import av

    has_x264 = "libx264" in av.codecs_available
    codec, quality = ("libx264", {"crf": "20"}) if has_x264 else ("mpeg4", {"qscale": "3"})
    with atomic_path(path) as aside, av.open(str(aside), "w", format="mp4") as container:
        stream: Any = container.add_stream(codec, rate=options.fps, options=quality)
        stream.width, stream.height = options.size
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
