"""How large the images are, what takes the room, and how soon ``tal`` answers in them.

Images are ``tal:cpu``, ``tal:gpu`` and ``tal:opencv-cuda``, those that are there; TAL_BENCH_IMAGES names others.
Docker, Podman or Buildah starts one container of each, in which everything is measured. Sizes are those of the files,
each once, the base's included; gzip is what it makes of them at its level 6, an estimate of what is sent over a
network. A package's size is that of what it installed and what Python compiled of it. Start-ups are those of the
program in a container that runs, the least of several, since other work only adds to them. `--quick` does not compress.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tal.bench import Row
from tal.errors import BackendError
from tal.progress import Progress

INSIDE = Path(__file__).with_name("_images_inside.py")
ENGINES = ("docker", "podman", "buildah")
TARGETS = ("tal:cpu", "tal:gpu", "tal:opencv-cuda")
N_LARGEST = 15
MB = 1e6


def run(quick: bool, progress: Progress) -> list[Row]:
    """Measure every image."""
    engine, images = chosen(os.environ)
    rows: list[Row] = []
    with progress.task("images", len(images), "images") as bar:
        for image in images:
            rows += told(image.rpartition(":")[2], engine.measured(image, 3 if quick else 15, compress=not quick))
            bar.advance(1, image)
    return rows


def chosen(environment: Mapping[str, str]) -> tuple[Engine, list[str]]:
    """Return the first engine that has the images, and which of them are to be measured.

    Raises:
        BackendError: If no engine is installed, or none has all that were named or one of the usual ones.
    """
    engines = [Engine(program) for program in ENGINES if shutil.which(program)]
    if not engines:
        raise BackendError(f"the benchmark needs images: install {' or '.join(ENGINES)} and build them")
    named = environment.get("TAL_BENCH_IMAGES", "").split()
    for engine in engines:
        there = [image for image in named or TARGETS if engine.has(image)]
        if there and there == (named or there):
            return engine, there
    wanted, programs = ", ".join(named or TARGETS[:1]), " or ".join(engine.program for engine in engines)
    raise BackendError(f"no {wanted} in {programs}; 'docker build --target cpu -t tal:cpu .' makes an image")


def told(name: str, found: Mapping[str, Any]) -> list[Row]:
    """Return the rows of one image, given what was measured inside."""
    rows = [Row(f"{name}: size", found["n_bytes"] / MB, "MB")]
    if "n_compressed" in found:
        rows.append(Row(f"{name}: size, gzip", found["n_compressed"] / MB, "MB"))
    rows += [Row(f"{name}: {command}", seconds, "s") for command, seconds in found["starts_s"].items()]
    largest = sorted(found["packages"].items(), key=lambda item: -item[1])[:N_LARGEST]
    rows.append(
        Row(f"{name}: other than Python packages", (found["n_bytes"] - sum(found["packages"].values())) / MB, "MB")
    )
    return rows + [Row(f"{name}: package {package}", n_bytes / MB, "MB") for package, n_bytes in largest]


@dataclass(frozen=True)
class Engine:
    """What runs containers."""

    program: str

    def has(self, image: str) -> bool:
        """Return whether an image is there."""
        command = [self.program, "inspect", "--type", "image", image]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def measured(self, image: str, times: int, compress: bool) -> dict[str, Any]:
        """Run the script that measures in a container of the image."""
        arguments = ["-", str(times), *(["compress"] if compress else [])]
        with self._container(image) as start, INSIDE.open() as script:
            done = subprocess.run([*start, *arguments], stdin=script, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BackendError(f"{self.program} cannot run '{image}': {done.stderr.strip()[-300:]!r}")
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    @contextmanager
    def _container(self, image: str) -> Iterator[Sequence[str]]:
        """Make a container; yields the command that runs Python in it."""
        if self.program != "buildah":
            yield [self.program, "run", "--rm", "-i", "--entrypoint", "python3", image]
            return
        made = subprocess.run(["buildah", "from", "--pull-never", image], capture_output=True, text=True, check=False)
        box = made.stdout.strip()
        try:
            yield ["buildah", "run", box, "--", "python3"]
        finally:
            subprocess.run(["buildah", "rm", box], capture_output=True, check=False)
