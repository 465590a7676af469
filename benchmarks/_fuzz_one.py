"""One reader under changed files, in this process: ``_fuzz_one.py READER SECONDS FOLDER KEEP guided|random``.

Writes ``told.json`` into FOLDER: how many inputs were tried, and the first finding. What made it is kept in KEEP.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

ROOM_BYTES = 3 << 30
INPUT_S = 20


class Trial:
    """Tries inputs and takes note of what happens.

    Attributes:
        n: How many were tried.
        finding: What the first was that was neither read nor refused in one line; empty for none.
    """

    def __init__(self, parser: Any, folder: Path, keep: Path, name: str) -> None:
        self._parser, self._folder, self._keep, self._name = parser, folder, keep, name
        self.n, self.finding = 0, ""

    def __call__(self, content: bytes) -> None:
        import _parsers

        self.n += 1
        if self.n % 64 == 1:  # libFuzzer leaves without a word
            self.tell()
        signal.alarm(INPUT_S)
        try:
            _parsers.attempt(self._parser, content, self._folder / "files")
        except Exception as error:  # noqa: BLE001 - every other exception is what is looked for
            self._found(error, content)
        finally:
            signal.alarm(0)

    def tell(self) -> None:
        """Write down where things stand."""
        (self._folder / "told.json").write_text(json.dumps({"n": self.n, "finding": self.finding}))

    def _found(self, error: Exception, content: bytes) -> None:
        if not self.finding:
            path = self._keep / f"tal-fuzz-{self._name}"
            path.write_bytes(content)
            self.finding = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}; kept as {path}"
            self.tell()


def at_random(trial: Trial, seeds: list[bytes], seconds: float) -> None:
    """Try changed seeds until the time is up."""
    from _fuzzing import changed

    chance, end = random.Random(0), time.monotonic() + seconds
    while time.monotonic() < end:
        trial(changed(chance.choice(seeds), chance, seeds))
    trial.tell()


def guided(trial: Trial, seeds: list[bytes], seconds: float, folder: Path) -> None:
    """Let libFuzzer choose; does not return."""
    import atheris
    from _fuzzing import WORDS, changed

    corpus = folder / "corpus"
    corpus.mkdir()
    for i, seed in enumerate(seeds):
        (corpus / str(i)).write_bytes(seed)
    quoted = ('"' + "".join(f"\\x{byte:02x}" for byte in word[:60]) + '"' for word in WORDS)
    (folder / "words").write_text("\n".join(quoted) + "\n")

    def mutated(content: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(content, max_size))
        return changed(content, chance, seeds)[:max_size]

    options = [f"-max_total_time={max(1, round(seconds))}", "-max_len=20000", f"-dict={folder / 'words'}", "-seed=1"]
    options += ["-rss_limit_mb=0", "-verbosity=0", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], trial, custom_mutator=mutated)
    atheris.Fuzz()


def _late(*_: object) -> None:
    raise TimeoutError(f"took more than {INPUT_S} s")


def main() -> None:
    """Do what the command line says."""
    name, seconds, folder, keep, way = (
        sys.argv[1],
        float(sys.argv[2]),
        Path(sys.argv[3]),
        Path(sys.argv[4]),
        sys.argv[5],
    )
    if way == "guided":
        import atheris

        watched: Any = atheris.instrument_imports(include=["tal", "extract"])
    else:
        watched = nullcontext()
    with watched:  # also what readers import when they run, before memory is limited
        import _parsers

        parser = _parsers.PARSERS[name]
        seeds = parser.seeds
        trial = Trial(parser, folder, keep, name)
        for seed in seeds:
            trial(seed)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM_BYTES, hard))
    signal.signal(signal.SIGALRM, _late)
    if way == "guided":
        guided(trial, seeds, seconds, folder)
    at_random(trial, seeds, seconds)


if __name__ == "__main__":
    main()
