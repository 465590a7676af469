"""CMCS's hard negatives: which snippets stand still, and what they are good for."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tal.methods._base import Batch, LabelledVideo
from tal.methods._cmcs_negatives import Rule, motion_proxy, motionless, slow, steady
from tal.methods.cmcs import Config, Network

PLAIN = Rule(0.25, 0, 0, 1)


def video_of(motion: list[float] | np.ndarray | None, per_s: float = 25 / 16, n: int = 40) -> LabelledVideo:
    given = None if motion is None else np.asarray(motion, np.float32)
    features = np.random.default_rng(0).random((n if given is None else len(given), 3)).astype(np.float32)
    return LabelledVideo(features, np.array([1, 0], np.float32), given, per_s)


def moving(n: int, still: list[tuple[int, int]]) -> np.ndarray:
    """Return motion of 2 to 3 px, and of 0.1 px in the stretches [first, stop)."""
    motion = np.random.default_rng(1).uniform(2, 3, n)
    for first, stop in still:
        motion[first:stop] = 0.1 * motion[first:stop]
    return motion


def test_a_still_stretch_is_found() -> None:
    video = video_of(moving(40, [(11, 21)]))
    assert motionless(video, Rule()).tolist() == list(range(11, 21))


def test_the_slowest_quarter_by_hand() -> None:
    motion = np.array([5, 1, 7, 3, 8, 2, 6, 4], np.float32)
    assert np.flatnonzero(slow(motion, 0.25)).tolist() == [1, 5]
    assert motionless(video_of(motion), PLAIN).tolist() == [1, 5]


def test_where_all_moves_alike_nothing_stands_still() -> None:
    assert not slow(np.full(9, 2, np.float32), 0.25).any()
    assert not slow(np.zeros(9, np.float32), 0.25).any()
    assert len(motionless(video_of(np.zeros(9)), Rule())) == 0


def test_single_slow_snippets_do_not_count() -> None:
    motion = moving(60, [(5, 6), (20, 21), (30, 42), (50, 51)])
    assert motionless(video_of(motion), Rule()).tolist() == list(range(30, 42))


def test_seconds_follow_how_dense_snippets_lie() -> None:
    """A still stretch of 4 snippets lasts longer than 2 s at one snippet per second, not at four."""
    motion = moving(40, [(20, 24)])
    motion[24:28] = 0.001  # below the quartile together
    motion[35:37] = 0.001
    assert motionless(video_of(motion, per_s=1), Rule()).tolist() == [*range(20, 28), 35, 36]
    assert motionless(video_of(motion, per_s=4), Rule()).tolist() == list(range(20, 28))
    assert motionless(video_of(motion, per_s=6), Rule()).tolist() == []


@pytest.mark.parametrize(("n_still", "found"), [(4, 0), (5, 5), (25, 25)])
def test_too_short_pseudo_videos_are_left_out(n_still: int, found: int) -> None:
    motion = moving(100, [(40, 40 + n_still)])
    noisy = [i for i in range(0, 100, 5) if not 38 <= i <= 40 + n_still + 1][: 25 - n_still]
    motion[noisy] = 0.5  # single slow snippets fill up the quarter and are smoothed away
    assert len(motionless(video_of(motion), Rule())) == found


def test_too_long_pseudo_videos_are_left_out() -> None:
    motion = moving(100, [(20, 60)])
    assert len(motionless(video_of(motion), Rule(ratio=0.4, most_share=0.3))) == 0
    assert len(motionless(video_of(motion), Rule(ratio=0.4, most_share=0.5))) == 40


def test_the_proxy_stands_in_where_there_is_no_motion() -> None:
    video = video_of(None)
    walk = np.cumsum(np.where((np.arange(40) >= 10) & (np.arange(40) < 20), 0.01, 1)).astype(np.float32)
    video = LabelledVideo(walk[:, None] * np.ones((40, 3), np.float32), video.labels, None)
    assert set(motionless(video, Rule())) <= set(range(9, 20))
    assert len(motionless(video, Rule())) >= 9
    with_motion = LabelledVideo(video.features, video.labels, moving(40, [(25, 35)]).astype(np.float32))
    assert motionless(with_motion, Rule()).tolist() == list(range(25, 35))
    assert motionless(with_motion, Rule(), use_motion=False).tolist() == motionless(video, Rule()).tolist()


def test_proxy_by_hand() -> None:
    features = np.array([[0, 0], [3, 4], [3, 4], [3, 5]], np.float32)  # steps of 5, 0 and 1
    assert motion_proxy(features).tolist() == [5, 2.5, 0.5, 1]
    assert motion_proxy(features[:1]).tolist() == [0]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), max_size=30), st.integers(0, 3))
def test_median_filter(mask: list[bool], half: int) -> None:
    """Runs of a median-filtered mask that are shorter than the window are all that is missing."""
    window = 2 * half + 1
    padded = [False] * half + mask + [False] * half
    filtered = [statistics.median(map(int, padded[i : i + window])) == 1 for i in range(len(mask))]
    found = steady(np.array(mask, bool), window).tolist()
    for i, (before, after) in enumerate(zip(filtered, found, strict=True)):
        first = next((j + 1 for j in range(i, -1, -1) if not filtered[j]), 0)
        stop = next((j for j in range(i, len(mask)) if not filtered[j]), len(mask))
        assert after == (before and stop - first >= window)


def test_pseudo_videos_are_background_and_come_beside_their_videos() -> None:
    videos = [video_of(moving(40, [(11, 21)])), video_of(np.ones(40)), video_of(moving(40, [(0, 10)]))]
    samples = Network(Config(), 3, 2).prepare(videos)
    assert [(s.video, s.labels.tolist(), s.weight) for s in samples] == [
        (0, [1, 0], 1.0),
        (0, [0, 0], 1.0),
        (1, [1, 0], 1.0),
        (2, [1, 0], 1.0),
        (2, [0, 0], 1.0),
    ]
    assert samples[0].snippets is None
    assert samples[1].snippets is not None
    assert samples[1].snippets.tolist() == list(range(11, 21))
    assert samples[1].snippets.dtype == np.int64
    assert [s.video for s in Network(Config(hard_negatives="none"), 3, 2).prepare(videos)] == [0, 1, 2]


def planted(hard_negatives: str) -> tuple[float, float]:
    """Learn from videos where a still context always comes with its class; return the signal on action and context."""
    generator = torch.Generator().manual_seed(0)
    videos = []
    for i in range(12):
        features = 0.1 * torch.rand(32, 8, generator=generator)
        features[4:12, i % 2] += 1  # the action
        features[16:24, 2 + i % 2] += 1  # its context
        labels = np.eye(2, dtype=np.float32)[i % 2]
        videos.append(LabelledVideo(features.numpy(), labels, moving(32, [(16, 24)]).astype(np.float32)))
    torch.manual_seed(0)
    network = Network(Config(hard_negatives=hard_negatives, dropout=0), 8, 2)  # type: ignore[arg-type]
    samples = network.prepare(videos)
    chosen = [videos[s.video].features[slice(None) if s.snippets is None else s.snippets] for s in samples]
    labels = torch.from_numpy(np.stack([s.labels for s in samples]))
    batch = Batch(torch.from_numpy(np.concatenate(chosen)), labels, lengths=tuple(map(len, chosen)))
    optimizer = torch.optim.Adam(network.train().parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        (losses,) = network.objectives(batch)
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    signal = network.eval().activate(torch.from_numpy(videos[0].features)).signal[:, 0]
    return float(signal[4:12].mean()), float(signal[17:23].mean())


def test_context_is_told_from_action_by_hard_negatives_alone() -> None:
    action, context = planted("motion")
    assert action > 0.9
    assert context < 0.1
    _, context = planted("none")
    assert context > 0.9
