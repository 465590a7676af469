"""Damaged videos: no crash, no hang, one line for what is refused, and no frame lost without a word.

Seeded mutants of good videos (cut, bits flipped, blocks of zeros and noise, packets swapped, parts doubled, dropped
or joined) in many containers and codecs, and of the real clips where they lie beside the checkout, with the difficult
files there. Each is read in a process of its own as the pipeline does, then again, and on one thread. What the
outcomes mean stands in `_verdicts.py`. `--quick`: 60 mutants and no real files.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from _data import SHARED
from _mutants import KINDS, Mutant, Source, open_source
from _reading import Reader, Reading
from _sources import make
from _verdicts import FAILURES, LAWS, OUTCOMES, broken_index_laws, broken_laws, outcome

from tal.bench import Row
from tal.progress import Progress, Task

N_QUICK, N_MADE, N_REAL = 60, 400, 100
"""Mutants of generated videos with and without `--quick`, and of real ones."""
UNSEEN = "clean, but pixels differ"
"""No codec here has checksums: flipped bits can be another valid picture."""


@dataclass
class Study:
    """Reads mutants and counts what became of them.

    Attributes:
        counts: Outcomes and broken laws to their numbers.
        failures: What failed, by name.
    """

    reader: Reader
    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _good: dict[str, Reading] = field(default_factory=dict)

    def mutant(self, mutant: Mutant, other: Source) -> list[str]:
        """Read a mutant; return what it failed at."""
        good = self._undamaged(mutant.source)
        path, content = self.folder / mutant.name, mutant.content(other)
        path.write_bytes(content)
        reading = self.reader.read(path)
        path.unlink()
        became = outcome(reading, str(path), good)
        unseen = became == "clean" and reading.digests != good.digests
        self.counts[UNSEEN] += unseen
        laws = broken_index_laws(reading, mutant.source, content, good)
        # What no decoder can see may look different each time.
        return self._note(mutant.name, became, laws + ([] if unseen else broken_laws(reading)))

    def file(self, path: Path) -> list[str]:
        """Read a difficult file, of which nothing better exists; return what it failed at."""
        reading = self.reader.read(path)
        return self._note(path.name, outcome(reading, str(path), reading), broken_laws(reading))

    def _undamaged(self, source: Source) -> Reading:
        if source.name not in self._good:
            path = self.folder / source.name
            path.write_bytes(source.content)
            self._good[source.name] = self.reader.read(path)
        return self._good[source.name]

    def _note(self, name: str, became: str, laws: Sequence[str]) -> list[str]:
        self.counts.update([became, *laws])
        failed = [*([became] if became in FAILURES else []), *laws]
        self.failures += [f"{name}: {', '.join(failed)}"] if failed else []
        return failed


def plan(sources: Sequence[Source], n: int) -> Iterator[tuple[Mutant, Source]]:
    """Yield `n` mutants, each with what follows it in a joined file; sources and kinds take turns."""
    kinds = list(KINDS)
    for i in range(n):
        turn, at = divmod(i, len(sources))
        yield Mutant(sources[at], kinds[(at + turn) % len(kinds)], i), sources[(at + turn % 2) % len(sources)]


def run(quick: bool, progress: Progress) -> list[Row]:
    """Read all mutants and count what became of them; those that fail are told by name."""
    real, difficult = ([], []) if quick else (_files("actions/single"), _files("nasty"))
    with tempfile.TemporaryDirectory() as folder, Reader() as reader:
        study = Study(reader, Path(folder))
        mutants = [*plan([open_source(path) for path in make(Path(folder))], N_QUICK if quick else N_MADE)]
        mutants += plan([open_source(path) for path in real], N_REAL if real else 0)
        with progress.task("mutants", len(mutants) + len(difficult), "files") as bar:
            _study(study, mutants, difficult, bar)
    for failure in study.failures:
        progress.say(failure)
    return _rows(study.counts, len(mutants), len(difficult))


def _study(study: Study, mutants: Iterable[tuple[Mutant, Source]], difficult: Iterable[Path], bar: Task) -> None:
    for mutant, other in mutants:
        study.mutant(mutant, other)
        bar.advance(1, mutant.name)
    for path in difficult:
        study.file(path)
        bar.advance(1, path.name)


def _files(folder: str) -> list[Path]:
    """Return the files of a folder of the shared data; none where that is missing."""
    place = SHARED / "data" / folder
    return sorted(place.iterdir()) if place.is_dir() else []


def _rows(counts: Counter[str], n_mutants: int, n_difficult: int) -> list[Row]:
    rows = [Row("mutants read", n_mutants, "files"), Row("difficult files read", n_difficult, "files")]
    for name in (*OUTCOMES, *LAWS):
        goal = name in FAILURES or name in LAWS
        rows.append(Row(name, counts[name], "files", goal="0" if goal else "", met=counts[name] == 0 if goal else None))
    return [*rows, Row(UNSEEN, counts[UNSEEN], "files")]
