from __future__ import annotations

import csv
import json
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tal.demo.drawing import ARM, LEG, Look, skeleton
from tal.demo.figures import ACTIONS, Pose, cartwheel, stand, walk
from tal.demo.scripts import DemoOptions, Script, ground_truth, plan
from tal.demo.videos import DemoSet, frames, render
from tal.types import ByteArray

SMALL = DemoOptions(n_train=5, n_test=5, seed=4, size=(48, 36))
FPS = Fraction(25, 2)
LOOK = Look(*[(10 * i, 10 * i, 10 * i) for i in range(1, 6)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DemoSet:
    return render(tmp_path_factory.mktemp("demo"), SMALL)


@pytest.fixture(scope="module")
def truth(made: DemoSet) -> dict[str, Any]:
    database: dict[str, Any] = json.loads(made.annotations.read_text())["database"]
    return database


def decode(path: Path) -> tuple[ByteArray, list[float]]:
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
    return np.stack([p.to_ndarray(format="rgb24") for p in pictures]), [float(p.time or 0) for p in pictures]


def labels_of(entry: Any) -> set[str]:
    return {one["label"] for one in entry["annotations"]}


class TestFiles:
    def test_names(self, made: DemoSet, truth: dict[str, Any]) -> None:
        names = [f"{subset}_{i:04d}" for subset in ("test", "train") for i in range(5)]
        assert sorted(path.name for path in made.videos.iterdir()) == [f"{name}.mp4" for name in names]
        assert sorted(truth) == names
        assert all(entry["subset"] == name.split("_")[0] for name, entry in truth.items())

    def test_videos_are_as_long_as_annotated(self, made: DemoSet, truth: dict[str, Any]) -> None:
        for name, entry in truth.items():
            pictures, times_s = decode(made.videos / f"{name}.mp4")
            assert pictures.shape[1:] == (36, 48, 3)
            assert len(pictures) == entry["duration"] * FPS
            assert times_s == pytest.approx([i / 12.5 for i in range(len(pictures))], abs=1e-4)

    def test_labels_are_those_of_the_training_videos(self, made: DemoSet, truth: dict[str, Any]) -> None:
        rows = list(csv.reader(made.labels.read_text().splitlines()))
        expected = {
            (n, label) for n, entry in truth.items() if entry["subset"] == "train" for label in labels_of(entry)
        }
        assert rows[0] == ["video", "label"]
        assert len(rows) - 1 == len(expected)
        assert {tuple(row) for row in rows[1:]} == expected

    def test_every_class_is_in_both_subsets(self, truth: dict[str, Any]) -> None:
        for subset in ("train", "test"):
            found = [labels_of(entry) for entry in truth.values() if entry["subset"] == subset]
            assert set.union(*found) == set(ACTIONS)

    def test_encoding_keeps_the_picture_and_its_place_in_time(self, made: DemoSet) -> None:
        script = plan(SMALL)[0]
        drawn = np.stack(list(frames(script, SMALL))).mean(axis=-1)
        decoded = decode(made.videos / f"{script.name}.mp4")[0].mean(axis=-1)
        action = slice(script.actions[0].start, script.actions[0].end)  # where neighbouring frames differ
        early, exact, late = (np.abs(np.roll(decoded, k, axis=0) - drawn)[action].mean() for k in (-1, 0, 1))
        assert exact < 5
        assert exact < min(early, late) / 1.5

    def test_progress_counts_videos(self, tmp_path: Path) -> None:
        told: list[Any] = []

        class Listener:
            def task(self, title: str, total: float | None, unit: str) -> Any:
                told.append((total, unit))
                return self

            def __enter__(self) -> Listener:
                return self

            def __exit__(self, *_: object) -> None: ...

            def advance(self, amount: float = 1, note: str = "") -> None:
                told.append((amount, note))

            def say(self, text: str) -> None: ...

        render(tmp_path, DemoOptions(n_train=1, n_test=1, size=(16, 16)), Listener())
        assert told == [(2, "video"), (1, "train_0000"), (1, "test_0000")]

    def test_without_x264(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
        small = DemoOptions(n_train=1, n_test=0, size=(32, 32))
        path = render(tmp_path, small).videos / "train_0000.mp4"
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.name == "mpeg4"
        assert len(decode(path)[0]) == plan(small)[0].n_frames

    def test_importing_it_loads_nothing_heavy(self) -> None:
        code = "import sys, tal.demo.videos; print({'cv2', 'av', 'torch'} & set(sys.modules))"
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert shown.stdout == "set()\n"


class TestPlan:
    @given(seed=st.integers(0, 2**40), fps=st.sampled_from([FPS, Fraction(10), Fraction(30000, 1001)]))
    @settings(max_examples=40)
    def test_segments_lie_apart_inside_the_video(self, seed: int, fps: Fraction) -> None:
        scripts = plan(DemoOptions(n_train=5, n_test=2, seed=seed, fps=fps))
        for entry in ground_truth(scripts, fps)["database"].values():
            segments = [one["segment"] for one in entry["annotations"]]
            edges = [0, *(edge for segment in segments for edge in segment), entry["duration"]]
            lengths = np.diff(edges)
            assert 2 <= len(segments) <= 3
            assert (lengths[::2] >= 1.3).all()  # gaps, s
            assert (lengths[1::2] >= 1.9).all()  # actions, s
            assert (lengths <= 3.1).all()

    @given(seed=st.integers(0, 2**40))
    @settings(max_examples=40)
    def test_parts_follow_each_other_without_a_jump(self, seed: int) -> None:
        for script in plan(DemoOptions(n_train=3, n_test=0, seed=seed)):
            assert script.parts[0].start == 0
            for before, after in pairwise(script.parts):
                assert (before.end, before.end_x) == (after.start, after.start_x)
            assert all(0.3 < part.end_x < 0.7 for part in script.parts)
            assert all((part.kind == "walk") == (part.start_x != part.end_x) for part in script.parts)

    def test_about_a_fifth_may_show_two_classes(self) -> None:
        scripts = plan(DemoOptions(n_train=400, n_test=0))
        share = np.mean([len({part.kind for part in script.actions}) == 2 for script in scripts])
        assert 0.14 < share < 0.26

    def test_the_default_is_small_enough_for_two_cores(self) -> None:
        scripts = plan()
        assert len(scripts) == 36
        assert 5000 < sum(script.n_frames for script in scripts) < 6200


class TestFrames:
    def test_same_seed_same_frames(self) -> None:
        first, second = (np.stack(list(frames(plan(SMALL)[3], SMALL))) for _ in range(2))
        assert np.array_equal(first, second)

    def test_another_seed_or_video_looks_different(self) -> None:
        others = [plan(SMALL)[3], plan(SMALL)[4], plan(SMALL)[8], plan(DemoOptions(seed=5))[3]]
        looks = [next(frames(script, SMALL)).astype(float) for script in others]
        assert all(np.abs(a - b).mean() > 5 for i, a in enumerate(looks) for b in looks[:i])

    def test_more_videos_leave_the_others_as_they_are(self) -> None:
        assert plan(DemoOptions(n_train=3, n_test=2))[:3] == plan(DemoOptions(n_train=9, n_test=7))[:3]

    @staticmethod
    def change(script: Script) -> dict[str, list[float]]:
        """Return the mean absolute difference between neighbouring frames, for each part."""
        pictures = np.stack(list(frames(script, SMALL))).astype(float)
        changes = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2, 3))
        found: dict[str, list[float]] = {}
        for part in script.parts:
            found.setdefault(part.kind, []).append(float(changes[part.start : part.end - 1].mean()))
        return found

    def test_actions_move_more_than_standing(self) -> None:
        for script in plan(SMALL):
            found = self.change(script)
            idle = found.pop("stand", None)
            found.pop("walk", None)
            if idle is not None:
                assert min(min(values) for values in found.values()) > 2 * max(idle)

    def test_the_class_is_not_in_the_looks(self) -> None:
        """The first frame shows a standing person: its colours come from a stream of numbers apart from the class."""
        script = plan(SMALL)[0]
        assert script.parts[0].kind in ("stand", "walk")
        other = Script(script.name, script.subset, (script.parts[0], *plan(SMALL)[1].parts[1:]), script.seed)
        assert np.array_equal(next(frames(script, SMALL)), next(frames(other, SMALL)))


times = st.floats(0, 6)


class TestFigures:
    @given(name=st.sampled_from(sorted(ACTIONS)), t=times)
    def test_bones_keep_their_length(self, name: str, t: float) -> None:
        limbs, _ = skeleton(ACTIONS[name](t, 6.0), LOOK)
        bones = [float(np.hypot(*(one.end - one.start))) for one in limbs if one.colour in (LOOK.trousers, LOOK.skin)]
        assert sum(length == pytest.approx(LEG) for length in bones) == 4
        assert sum(length == pytest.approx(ARM) for length in bones) == 2

    @given(name=st.sampled_from(sorted(ACTIONS)), t=times)
    def test_the_figure_stays_over_the_ground_and_on_the_picture(self, name: str, t: float) -> None:
        limbs, head = skeleton(ACTIONS[name](t, 6.0), LOOK)
        points = np.array([*(p for one in limbs for p in (one.start, one.end)), head])
        assert points[:, 1].min() > -0.1
        assert points[:, 1].max() < 1.4
        assert np.abs(points[:, 0]).max() < 1

    @given(st.builds(walk, times) | st.builds(stand, times) | st.builds(cartwheel, times, st.just(6.0)))
    def test_a_mirror_shows_the_mirrored_skeleton(self, pose: Pose) -> None:
        assert pose.mirrored().mirrored() == pytest.approx(pose)
        (limbs, head), (seen, seen_head) = skeleton(pose, LOOK), skeleton(pose.mirrored(), LOOK)
        flip = np.array([-1, 1])
        ends = sorted((flip * one.end).round(9).tolist() for one in limbs)
        assert seen_head == pytest.approx(flip * head)
        assert np.allclose(sorted(one.end.round(9).tolist() for one in seen), ends, atol=1e-6)

    def test_blend(self) -> None:
        low, high = Pose(x=0, hip=0.2), Pose(x=1, hip=0.4)
        assert low.blend(high, 0) == low
        assert low.blend(high, 0.25) == pytest.approx(Pose(x=0.25, hip=0.25))

    def test_a_cartwheel_ends_upright(self) -> None:
        spins = [cartwheel(t, 2.5).spin for t in (0, 2.5)]
        assert np.cos(spins) == pytest.approx([1, 1])
        assert min(np.cos(cartwheel(t, 2.5).spin) for t in np.linspace(0, 2.5, 50)) < -0.9
