"""The pass over many videos: shared batches, bounded queues, failures that stay where they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from chance import new_threads
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from made_up import POISON, SETTINGS, Difference, Studio
from patience import WAIT_S

from extract.features import Request, sample_clips
from extract.stopwatch import Stopwatch
from tal.errors import StorageError, TalError
from tal.settings import ExtractSettings
from tal.types import Features


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Studio:
    return Studio(monkeypatch)


def run(studio: Studio, paths: list[Path], batch: int = 4) -> dict[Path, Features | TalError]:
    found = list(studio.extractor(batch).run(Request(path) for path in paths))
    assert [request.path for request, _ in found] == paths  # in the order that was asked for, each once
    return {request.path: features for request, features in found}


def expected_rgb(values: list[int]) -> np.ndarray:
    """Which frames each snippet of 8 with stride 4 shows; a shorter video is filled up with its last frame."""
    starts = range(0, len(values) - 7, 4) if len(values) >= 8 else [0]
    shown = [[values[min(i, len(values) - 1)] for i in range(s, s + 8)] for s in starts]
    return np.pad(np.array(shown, np.float32), ((0, 0), (0, 1016)))


def workers() -> list[threading.Thread]:
    return new_threads("prefetch")


@pytest.mark.parametrize("batch", [1, 3, 4, 100])
def test_snippets_of_several_videos_share_batches(studio: Studio, batch: int) -> None:
    lengths = [8, 3, 30, 8, 12, 1]  # 1, 1, 6, 1, 2 and 1 snippets
    found = run(studio, [studio.add(list(range(n))) for n in lengths], batch)
    assert [f.grid.n_snippets for f in found.values() if isinstance(f, Features)] == [1, 1, 6, 1, 2, 1]
    full, rest = divmod(12, batch)
    assert studio.networks["rgb"].batches == studio.networks["flow"].batches == [batch] * full + [rest] * (rest > 0)


def test_pictures_of_different_shapes_do_not_share_a_batch(studio: Studio) -> None:
    found = run(studio, [studio.add(range(8), width=width) for width in (32, 32, 40, 32)])
    assert studio.networks["rgb"].batches == [2, 1, 1]
    assert all(isinstance(features, Features) for features in found.values())


VALUES = st.lists(st.integers(0, 200), min_size=1, max_size=60)
FATE = st.tuples(VALUES, st.sampled_from(["whole", "breaks", "poison"]), st.integers(0, 59))


@given(videos=st.lists(FATE, min_size=1, max_size=8), batch=st.integers(1, 9), block=st.integers(1, 40))
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_each_video_gets_its_own_features_or_its_own_error(
    monkeypatch: pytest.MonkeyPatch, videos: list[tuple[list[int], str, int]], batch: int, block: int
) -> None:
    studio = Studio(monkeypatch, Difference(block))
    paths = []
    for values, fate, place in videos:
        at = place % len(values)
        read = len(values) if len(values) < 8 else len(values) - len(values) % 4  # the tail is left out
        seen = fate == "poison" and at < read
        shown = [*values[:at], POISON, *values[at + 1 :]] if seen else values
        paths.append(studio.add(shown, at if fate == "breaks" else None))
    found = run(studio, paths, batch)
    for path, (values, fate, _) in zip(paths, videos, strict=True):
        ours, shown = found[path], list(studio.videos[path].values)
        if fate == "breaks":
            assert str(ours) == f"{path}: broken"
        elif POISON in shown:
            assert str(ours) == "not finite"
        else:
            assert isinstance(ours, Features)
            assert np.array_equal(ours.streams["rgb"], expected_rgb(values))
    assert workers() == []


@pytest.mark.parametrize("stride", [1, 3, 8, 13])
def test_frames_are_read_once_and_pairs_computed_once(monkeypatch: pytest.MonkeyPatch, stride: int) -> None:
    studio = Studio(monkeypatch, Difference(10))
    paths = [studio.add(list(range(n))) for n in (45, 1, 2, 21)]
    settings = SETTINGS.model_copy(update={"stride": stride})
    list(studio.extractor(settings=settings).run(map(Request, paths)))
    assert sum(studio.flow.n_pairs) == 44 + 0 + 1 + 20  # type: ignore[attr-defined]
    assert [video.n_decoded for video in studio.videos.values()] == [45, 1, 2, 21]


def test_the_engine_says_how_many_pairs_it_likes_and_results_do_not_depend_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, found = [(7 * i) % 50 for i in range(300)], []
    for block in (1, 32, 128, 1000):
        studio = Studio(monkeypatch, Difference(block))
        features = run(studio, [studio.add(values)])[Path("video_000.mp4")]
        assert isinstance(features, Features)
        assert studio.flow.n_pairs[0] == min(block, 299)  # type: ignore[attr-defined]
        found.append(features)
    for one in found[1:]:
        assert all(np.array_equal(one.streams[name], found[0].streams[name]) for name in ("rgb", "flow"))
        assert np.array_equal(one.motion, found[0].motion)  # type: ignore[arg-type]


def test_of_videos_without_end_few_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ahead are at most: a block of decoded frames, two of prepared ones, two batches of snippets."""
    block, batch = 16, 2
    studio = Studio(monkeypatch, Difference(block))
    requests = (Request(studio.add([i % 200])) for i in count())  # one snippet each
    with closing(studio.extractor(batch).run(requests)) as results:
        for n_done, _ in zip(range(1, 100), results, strict=False):
            assert len(studio.opened) - n_done <= 2 * batch + 3 * block
    assert workers() == []


def test_of_an_endless_video_little_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    block, batch = 16, 2
    studio = Studio(monkeypatch, Difference(block))
    endless = studio.add(range(10**9))
    network = studio.networks["rgb"]
    embed = network.embed

    def interrupted(clips: torch.Tensor) -> np.ndarray:
        if len(network.batches) == 10:
            raise KeyboardInterrupt
        return embed(clips)

    monkeypatch.setattr(network, "embed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(studio.extractor(batch).run([Request(endless)]))
    frames_used = 4 * batch * 11 + 8
    assert studio.videos[endless].n_decoded <= frames_used + 4 * batch + 3 * block
    assert workers() == []


def test_the_next_video_is_decoded_while_the_one_before_is_embedded(studio: Studio) -> None:
    first, second = studio.add(range(8)), studio.add(range(8))
    embed, opened = studio.networks["rgb"].embed, threading.Event()
    studio.networks["rgb"].embed = lambda clips: embed(clips) if opened.wait(WAIT_S) else None  # type: ignore
    requests = iter([first, second])

    def asked() -> Iterator[Request]:
        yield Request(next(requests))
        opened.set()
        yield Request(next(requests))

    assert [request.path for request, _ in studio.extractor(batch=1).run(asked())] == [first, second]


def test_a_broken_invariant_and_a_full_disk_end_the_pass(studio: Studio) -> None:
    def requests(error: Exception) -> Iterator[Request]:
        yield Request(studio.add(range(8)))
        raise error

    for error in (ValueError("a bug"), StorageError("cannot write x: No space left on device")):
        with pytest.raises(type(error), match=str(error)):
            list(studio.extractor(batch=1).run(requests(error)))
        assert workers() == []


def test_a_video_shorter_than_a_snippet_gives_one(studio: Studio) -> None:
    (found,) = run(studio, [studio.add([5, 9, 7])]).values()
    assert isinstance(found, Features) and found.grid.n_snippets == 1
    assert found.streams["rgb"][0, :8].tolist() == [5, 9, 7, 7, 7, 7, 7, 7]
    assert found.streams["flow"][0, :8] * 20 == pytest.approx([4, -2, -2, -2, -2, -2, -2, -2])  # the last flow repeats
    assert found.motion == pytest.approx([(4 + 7 * 2) / 8 * 2**0.5])


def test_one_stream_needs_no_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(monkeypatch)
    studio.flow = None  # type: ignore[assignment]
    settings = SETTINGS.model_copy(update={"streams": ("rgb",)})
    ((_, found),) = studio.extractor(settings=settings).run([Request(studio.add(range(9)))])
    assert isinstance(found, Features) and list(found.streams) == ["rgb"] and found.motion is None


def test_work_is_told_by_stage(studio: Studio) -> None:
    extractor = studio.extractor()
    list(extractor.run([Request(studio.add(range(100)))]))
    assert list(extractor.watch.seconds) == ["decode", "flow", "rgb network", "flow network", "write"]
    assert [worked > 0 for worked in extractor.watch.seconds.values()] == [True, True, True, True, False]


def test_stages_that_take_turns_never_work_at_once() -> None:
    watch, working, most = Stopwatch(take_turns=True), [], []

    def work(stage: str) -> None:
        for _ in range(50):
            with watch.in_turn(stage):
                working.append(stage)
                most.append(len(working))
                time.sleep(1e-4)
                working.remove(stage)

    threads = [threading.Thread(target=work, args=(stage,)) for stage in ("flow", "rgb network")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 100 and min(watch.seconds["flow"], watch.seconds["rgb network"]) >= 50 * 1e-4


def test_the_first_snippets_of_a_video(studio: Studio) -> None:
    path = studio.add(range(1000))
    clips = sample_clips(path, SETTINGS, studio.flow, 3)
    assert [clip.rgb[0, 0, 0, 0] for clip in clips] == [0, 4, 8]
    assert studio.videos[path].n_decoded < 200
    with pytest.raises(TalError, match="broken"):
        sample_clips(studio.add(range(20), breaks_at=10), SETTINGS, studio.flow, 9)


def test_features_on_the_cpu_do_not_depend_on_neighbours_by_one_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    from extract import weights
    from extract.i3d import I3D
    from extract.i3d_engine import Engine

    studio = Studio(monkeypatch)
    network = I3D(3)
    network.load_state_dict(weights.random_state(0, "rgb"))
    studio.networks = {"rgb": Engine(network.eval(), "cpu")}  # type: ignore[dict-item]
    settings = ExtractSettings.model_validate({**SETTINGS.model_dump(), "streams": ("rgb",)})
    paths = [studio.add([(start + 9 * i) % 250 for i in range(n)]) for start, n in ((0, 8), (50, 17), (100, 3))]

    def streams(chosen: list[Path], batch: int) -> list[np.ndarray]:
        found = studio.extractor(batch, settings).run(map(Request, chosen))
        return [features.streams["rgb"] for _, features in found if isinstance(features, Features)]

    together, alone = streams(paths, 4), [streams([path], 4)[0] for path in paths]
    assert [len(one) for one in together] == [1, 3, 1]
    assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))
    assert np.ptp(np.concatenate(together), axis=0).max() > 1e-3  # and they do depend on the video
