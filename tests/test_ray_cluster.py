"""Extraction on a cluster of several raylets: the same shards, whatever breaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clips
import faulty
import pytest
import small
from ray_made import Raylets, faulty_env

from tal import shards
from tal.cache import Cache
from tal.ledger import Ledger
from tal.pipeline import extract, ray_extraction
from tal.pipeline.engines import resolved
from tal.pipeline.parts import Selection
from tal.pipeline.ray_desk import Desk
from tal.pipeline.ray_extraction import extract_on_ray
from tal.pipeline.ray_fleet import Fleet
from tal.pipeline.ray_hands import Hand
from tal.pipeline.ray_orders import Parcel
from tal.settings import Settings

RGB = ("extract.streams=[rgb]", "extract.fps=5", "extract.stride=8", "extract.calibration_videos=1")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(f"*{shards.SUFFIX}")}


def test_a_node_that_is_killed_in_mid_run_changes_nothing(
    tmp_path: Path,
    raylets: Raylets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "videos").mkdir()
    for i in range(8):
        clips.write(tmp_path / "videos" / f"v{i}.mp4", range(10 * i, 10 * i + 45 + 5 * i), size=(48, 32))
    settings, cache, heard = small.settings(*RGB), Cache(tmp_path / "cache"), faulty.Heard()
    extract(tmp_path / "videos", tmp_path / "here", settings, cache=cache)
    monkeypatch.setattr(ray_extraction, "Desk", two_at_once)
    kills = kill_when_handed_more(raylets, monkeypatch, tmp_path / "there")
    with raylets.joined():
        report = extract_on_ray(tmp_path / "videos", tmp_path / "there", settings, cache=cache, progress=heard)
    assert report.made == tuple(f"v{i}" for i in range(8)) and not report.failures
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert not list((tmp_path / "there").glob(".*.part"))
    (gone,) = (line for line in heard.said if "is gone" in line)
    assert "(its node was lost)" in gone and "; 0 videos" not in gone
    (kill,) = kills
    assert kill.finished and kill.finished.items() <= inodes(tmp_path / "there").items()  # nothing is made again
    with Ledger(tmp_path / "there") as ledger:
        begun = Counter({name: one.attempts for name, one in ledger.records().items()})
    again = begun - Counter(report.made)
    assert again and set(again) <= kill.held - kill.finished.keys() and set(again.values()) == {1}


@dataclass(frozen=True)
class Kill:
    """What was so when a node had just been killed.

    Attributes:
        held: Names of the videos that its worker had.
        finished: Names of all videos that were made, with the inodes of their shards.
    """

    held: frozenset[str]
    finished: dict[str, int]


def inodes(folder: Path) -> dict[str, int]:
    return {path.stem: path.stat().st_ino for path in folder.glob(f"*{shards.SUFFIX}")}


def two_at_once(waiting: Iterable[Path], suspects: Iterable[Path], ahead: int) -> Desk:
    """Hand out few videos at once, so that workers come back for more."""
    return Desk(waiting, suspects, ahead=2)


def kill_when_handed_more(raylets: Raylets, monkeypatch: pytest.MonkeyPatch, out: Path) -> list[Kill]:
    """Kill the first node that has made a video, when its worker has got another one."""
    kills, ended, end, parcel = list[Kill](), list[Hand](), Fleet._end, Fleet._parcel

    def remember(self: Fleet, hand: Hand, path: Path) -> None:
        end(self, hand, path)
        ended.append(hand)

    def kill(self: Fleet, path: Path) -> Parcel:
        for hand in ended if not kills else ():
            if path in (held := self._desk.held(hand.id)):
                raylets.kill(hand.share.node)
                kills.append(Kill(frozenset(one.stem for one in held), inodes(out)))
                break
        return parcel(self, path)

    monkeypatch.setattr(Fleet, "_end", remember)
    monkeypatch.setattr(Fleet, "_parcel", kill)
    return kills


class Faults(faulty.Batch):
    """A folder of videos that break their workers."""

    def on_ray(self, **more: Any) -> Any:
        chosen = Settings().extract.model_copy(update={"decoder": "pyav", "streams": ("rgb",)})
        settings = Settings().model_copy(update={"extract": resolved(chosen)})
        return extract_on_ray(self.videos, self.out, settings, cache=self.cache, progress=self.heard, **more)


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faults:
    made = Faults(tmp_path, monkeypatch)
    monkeypatch.setattr(ray_extraction, "recipe_for", faulty.engines().recipe)
    return made


def test_what_breaks_on_a_cluster_ends_as_it_does_on_one_machine(batch: Faults, raylets: Raylets) -> None:
    batch.add(**{f"good{i}": "" for i in range(4)}, bad="fail", gap="damaged", fatal="kill", shaky="once kill")
    with raylets.short_of_memory(), raylets.joined(**faulty_env()):
        report = batch.on_ray()
        again = batch.on_ray(selection=Selection(only=("fatal",)))
    assert set(report.made) == {*(f"good{i}" for i in range(4)), "gap", "shaky"}
    assert report.remarks == {"gap": "no pictures for 0.50 s (from 0.25 s)"}
    poison = f"{batch.videos / 'fatal.mp4'}: the process that decoded it died twice"
    assert report.failures["bad"] == f"{batch.videos / 'bad.mp4'}: broken"
    assert report.failures["fatal"].startswith(poison)
    records = batch.records()
    states = {name: one.state for name, one in records.items()}
    assert states == {**{f"good{i}": "done" for i in range(4)}, "bad": "failed"} | {
        "gap": "damaged",
        "fatal": "poison",
        "shaky": "done",
    }
    assert any("is gone (its node ran out of memory)" in line for line in batch.heard.said)
    assert again.failures["fatal"].startswith(poison) and not again.made  # nobody tries it again by itself
