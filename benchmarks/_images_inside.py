"""Runs inside an image: sizes of files and packages, start-ups. Prints one JSON object; needs nothing but Python.

Arguments: how often to start each command, and ``compress`` where files are to be compressed, too.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import sysconfig
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

COMMANDS = (("tal", "--version"), ("tal", "--help"))
NOT_FILES = {"/proc", "/sys", "/dev", "/run", "/tmp"}
CHUNK = 1 << 20


def files(root: Path) -> Iterator[tuple[Path, int]]:
    """Yield every file below a folder and its bytes; one with several names once."""
    seen = set()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if str(Path(folder, name)) not in NOT_FILES)
        for path in (Path(folder, name) for name in sorted(names)):
            about = path.lstat()
            identity = (about.st_dev, about.st_ino)
            if stat.S_ISREG(about.st_mode) and identity not in seen:
                seen.add(identity)
                yield path, about.st_size


def compressed(root: Path) -> int:
    """Return how many bytes gzip makes of all files, in one stream; those one may not read count as nothing."""
    press, total = zlib.compressobj(6, wbits=31), 0
    for path, _ in files(root):
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    total += len(press.compress(chunk))
        except PermissionError:
            continue
    return total + len(press.flush())


def packages(site: Path) -> dict[str, int]:
    """Return the bytes of each package installed in a folder, files that Python compiled included."""
    owners: dict[str, str] = {}
    for found in metadata.distributions(path=[str(site)]):
        owners.update({str(path): found.metadata["Name"] for path in found.files or ()})
    sizes: Counter[str] = Counter()
    for path, n_bytes in files(site):
        inside = path.relative_to(site)
        sizes[owners.get(str(inside)) or owners.get(str(source(inside))) or "others"] += n_bytes
    return dict(sizes)


def source(compiled: Path) -> Path:
    """Return the file that ``__pycache__/name.cpython-311.pyc`` was compiled from."""
    return compiled.parent.parent / f"{compiled.name.partition('.')[0]}.py"


def start_s(command: tuple[str, ...], times: int) -> float:
    """Return the least time that a command takes."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - started)
    return min(taken)


def main(times: int, compress: bool) -> None:
    """Measure and print."""
    answer = {
        "n_bytes": sum(n_bytes for _, n_bytes in files(Path("/"))),
        "packages": packages(Path(sysconfig.get_path("purelib"))),
        "starts_s": {" ".join(command): start_s(command, times) for command in COMMANDS},
    }
    if compress:
        answer["n_compressed"] = compressed(Path("/"))
    print(json.dumps(answer))


if __name__ == "__main__":
    main(int(sys.argv[1]), "compress" in sys.argv[2:])
