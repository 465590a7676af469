"""Damaged videos of many kinds: what `benchmarks/mutants.py` makes, reads and judges, and a share of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import WAIT_S

from tal.files import shipped

sys.path.append(str(shipped("benchmarks")))

from _mutants import INDEX, KINDS, MEDIA, Mutant, Packet, Source, open_source, places
from _reading import Reader, Reading
from _sources import N_FRAMES, RECIPES, make
from _verdicts import MP4, broken_index_laws, broken_laws, outcome
from mutants import Study, plan

N_MUTANTS = 3 * len(RECIPES)
PLANTED = Source("planted.mp4", MP4, bytes(range(200)), (Packet(40, 90, 0, True), Packet(100, 150, 1, False)))
"""A source of which only the layout matters: 40 bytes, a packet, 10 bytes, a packet, 50 bytes."""
ONCE_FAILED = [
    ("swap", 1, "h264.mp4"),  # frames that the decoder gave late moved all times behind them by 1.4 s
    ("noise", 170, "h264.mp4"),  # a late frame took the place of a good one
    ("joined", 0, "h264.mkv"),  # what was said of losses depended on the number of threads
    ("swap", 1, "h264.flv"),  # so did pixels, long before the first error
    ("cut", 0, "h264.ts"),  # draining several threads lost frames
    ("flip_many", 0, "h264.ts"),  # an IndexError: streams appeared behind the header
    ("cut_between", 0, "mpeg4.avi"),  # half of the frames were missing without a word
    ("noise", 0, "mpeg2.ts"),  # a hole in the first second went unseen
    ("swap", 1, "vp9.webm"),  # an error while draining was not counted
    ("noise", 104, "flv1.flv"),  # a stream made up by damage seemed to last until the end
    ("swap", 101, "wmv2.wmv"),  # the beginning was missing
]
LARGE = {"exo_edit_list_positive_shift.mp4", "dali_cfr.mpeg", "mp4parser_count-video.mp4", "av1_video.mkv"}
"""Difficult files that only the benchmark reads: each takes seconds."""
WORKER = """
import os, signal, sys, time
for line in sys.stdin:
    name = line.strip().rpartition("/")[2]
    if name == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "hang":
        time.sleep(600)
    if name == "raise":
        raise KeyError("planted")
    print(".", flush=True)
    print('{"decoded": 3, "times_s": ["0", "1/25"]}', flush=True)
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    return {path.name: open_source(path) for path in make(tmp_path_factory.mktemp("sources"))}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    with Reader(limit_s=WAIT_S) as reader:
        yield Study(reader, tmp_path_factory.mktemp("mutants"))


@pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES])
def test_damage_is_told_and_costs_no_more_than_itself(sources: dict[str, Source], study: Study, name: str) -> None:
    if name not in sources:
        pytest.skip("needs an encoder that PyAV was built without")
    for mutant, other in plan(list(sources.values()), N_MUTANTS):
        if mutant.source.name == name:
            assert (mutant.name, study.mutant(mutant, other)) == (mutant.name, [])


@pytest.mark.parametrize(("kind", "seed", "name"), ONCE_FAILED)
def test_what_once_failed(sources: dict[str, Source], study: Study, kind: str, seed: int, name: str) -> None:
    if name not in sources:
        pytest.skip("needs an encoder that PyAV was built without")
    assert study.mutant(Mutant(sources[name], kind, seed), sources[name]) == []


def test_good_files_are_read_clean(sources: dict[str, Source], study: Study) -> None:
    for source in sources.values():
        path = study.folder / source.name
        path.write_bytes(source.content)
        reading = study.reader.read(path)
        assert (outcome(reading, str(path), reading), broken_laws(reading)) == ("clean", [])
        assert reading.decoded == len(reading.times_s) == len(set(reading.digests)) == N_FRAMES


def test_difficult_files(shared: Path, study: Study) -> None:
    files = sorted((shared / "data" / "nasty").iterdir())
    assert len(files) == 31
    assert {path.name: failed for path in files if path.name not in LARGE and (failed := study.file(path))} == {}


@given(kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 2**63))
def test_a_mutant_depends_on_source_kind_and_seed_alone(kind: str, seed: int) -> None:
    content = PLANTED.content
    mutant = Mutant(PLANTED, kind, seed)
    assert mutant.content(PLANTED) == Mutant(PLANTED, kind, seed).content(PLANTED)
    assert PLANTED.content == content == bytes(range(200))


@given(seed=st.integers(0, 2**63))
@pytest.mark.parametrize("kind", ["flip_media", "zeros_media", "noise_media", "flip_index", "zeros_index"])
def test_some_kinds_spare_the_index_and_some_the_media(kind: str, seed: int) -> None:
    content = Mutant(PLANTED, kind, seed).content(PLANTED)
    spared = places(PLANTED, INDEX if kind.endswith("media") else MEDIA)
    assert len(content) == 200
    assert [content[i] for i in spared] == list(spared)


@given(seed=st.integers(0, 2**63))
def test_swapped_packets_change_places(seed: int) -> None:
    content = Mutant(PLANTED, "swap", seed).content(PLANTED)
    assert content == bytes([*range(40), *range(100, 150), *range(90, 100), *range(40, 90), *range(150, 200)])


@given(seed=st.integers(0, 2**63))
def test_lengths(seed: int) -> None:
    n_bytes = {kind: len(Mutant(PLANTED, kind, seed).content(PLANTED)) for kind in KINDS}
    assert all(1 <= n_bytes[kind] < 200 for kind in ("cut", "cut_index", "cut_between", "drop"))
    assert n_bytes["cut_between"] in {40, 100}
    assert 200 < n_bytes["double"] <= 300
    assert n_bytes["joined"] == 400


def test_packets_lie_where_they_are_said_to(sources: dict[str, Source]) -> None:
    """The sizes that an MP4's index gives are also before each NAL unit, 4 bytes, big endian."""
    source = sources["h264.mp4"]
    assert len(source.packets) == N_FRAMES
    for packet in source.packets[1:]:
        size = int.from_bytes(source.content[packet.start : packet.start + 4], "big")
        assert packet.start + 4 + size == packet.stop


GOOD = Reading(
    times_s=("0", "1/25", "2/25"),
    digests=("a", "b", "c"),
    claimed=3,
    claimed_s=0.12,
    decoded=3,
    end_s=0.12,
    container="avi",
)
FEWER = replace(GOOD, times_s=("0", "1/25"), digests=("a", "b"), decoded=2, end_s=0.08)
HOLE = replace(GOOD, times_s=("0", "2/25"), digests=("a", "c"), decoded=2)


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (GOOD, "clean"),
        (replace(FEWER, bad=1), "repaired"),
        (replace(FEWER, gaps=1), "repaired"),
        (replace(FEWER, damaged=1), "repaired"),
        (replace(FEWER, claimed=2, claimed_s=0.08), "shorter"),
        (replace(FEWER, claimed=None, claimed_s=None), "shorter"),
        (replace(FEWER, claimed=40), "silent"),
        (replace(FEWER, claimed=2, claimed_s=1.6), "silent"),
        (replace(FEWER, claimed=2, claimed_s=0.5), "shorter"),
        (replace(FEWER, claimed=2, claimed_s=0.5, container=MP4), "silent"),
        (replace(FEWER, claimed=40, claimed_s=0.08, container=MP4), "shorter"),
        (replace(HOLE, claimed=2), "silent"),
        (Reading("VideoError", "a.avi: damaged"), "refused"),
        (Reading("VideoError", "damaged"), "error"),
        (Reading("VideoError", "a.avi: damaged\nand long"), "error"),
        (Reading("hang", "said nothing"), "hang"),
        (Reading("crash", "SIGSEGV"), "crash"),
        (Reading("error", "KeyError: 1"), "error"),
    ],
)
def test_outcomes(reading: Reading, expected: str) -> None:
    assert outcome(reading, "a.avi", GOOD) == expected


def test_laws_of_all_files() -> None:
    assert broken_laws(GOOD) == []
    assert broken_laws(replace(GOOD, times_s=("0", "2/25", "1/25"))) == ["times decrease"]
    assert broken_laws(replace(GOOD, repeatable=False)) == ["not repeatable"]
    assert broken_laws(replace(GOOD, thread_free=False)) == ["depends on threads"]


def _in_groups(n_groups: int) -> tuple[Source, Reading]:
    """Return a source of groups of 10 packets, 10 bytes each, behind an index of 20 bytes, and its reading."""
    n = 10 * n_groups
    packets = tuple(Packet(20 + 10 * i, 30 + 10 * i, i, i % 10 == 0) for i in range(n))
    times_s = tuple(f"{i}/25" for i in range(n))
    return Source("a.mp4", MP4, bytes(20 + 10 * n), packets), Reading(times_s=times_s, digests=times_s, decoded=n)


def _without(reading: Reading, frames: range) -> Reading:
    left = [i for i in range(len(reading.times_s)) if i not in frames]
    return replace(
        reading, times_s=tuple(reading.times_s[i] for i in left), digests=tuple(reading.digests[i] for i in left)
    )


def _painted(reading: Reading, frame: int) -> Reading:
    digests = list(reading.digests)
    digests[frame] = "other"
    return replace(reading, digests=tuple(digests))


def test_laws_of_files_with_an_index() -> None:
    source, good = _in_groups(4)
    content = bytearray(source.content)
    content[20 + 10 * 25] = 1  # in group 2

    def broken(reading: Reading) -> list[str]:
        return broken_index_laws(reading, source, bytes(content), good)

    assert broken(good) == broken(_without(good, range(20, 30))) == broken(_painted(good, 22)) == []
    assert broken(_without(good, range(16, 30))) == []  # the decoder still held the last four
    assert broken(_without(good, range(15, 30))) == ["untouched frames changed"]
    assert broken(_painted(good, 19)) == broken(_painted(good, 30)) == ["untouched frames changed"]
    assert broken(replace(good, times_s=(*good.times_s[:-1], "9"))) == ["leaves the index", "untouched frames changed"]


def test_a_touched_index_obliges_to_nothing() -> None:
    source, good = _in_groups(4)
    content = bytes([1, *source.content[1:]])
    assert broken_index_laws(Reading(), source, source.content, good) == ["untouched frames changed"]
    assert broken_index_laws(Reading(), source, content, good) == []
    assert broken_index_laws(Reading(), replace(source, container="matroska,webm"), source.content, good) == []


def test_a_worker_that_ends_or_hangs_is_replaced(tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    read = Reading(decoded=3, times_s=("0", "1/25"))
    with Reader([sys.executable, "-S", str(worker)], limit_s=WAIT_S) as reader:
        assert reader.read(Path("good")) == read
        assert reader.read(Path("crash")) == Reading("crash", "SIGSEGV")
        assert reader.read(Path("good")) == read
        reader.limit_s = 0.1
        assert reader.read(Path("hang")) == Reading("hang", "said nothing for 0.1 s")
        reader.limit_s = WAIT_S
        assert reader.read(Path("good")) == read
        assert reader.read(Path("raise")) == Reading("error", "KeyError: 'planted'")
        assert reader.read(Path("good")) == read
