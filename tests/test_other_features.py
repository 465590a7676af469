"""Features by other networks, of several crops, in other sizes: through the whole extraction."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from pathlib import Path

import clips
import numpy as np
import pytest
import small
from made_up import Studio

from tal import config, pipeline, shards
from tal.cache import Cache
from tal.errors import ConfigError
from tal.settings import ExtractSettings, Settings


def extracted(folder: Path, *sets: str) -> shards.Features:
    video = folder / "a.mp4"
    if not video.exists():
        clips.write(video, range(24), size=(96, 64))
    report = pipeline.extract(
        video, folder / "features", small.settings("extract.fps=25", *sets), cache=Cache(folder / "c")
    )
    assert not report.failures
    return shards.read(report.shards["a"])


RGB = "extract.streams=[rgb]"


def test_another_backbone(tmp_path: Path) -> None:
    features = extracted(tmp_path, "extract.backbone=r3d_18", RGB)
    assert features.streams["rgb"].shape == (5, 512)
    assert features.provenance["settings"]["backbone"] == "r3d_18"
    again = extracted(tmp_path, "extract.backbone=r3d_18", RGB)
    assert np.array_equal(features.streams["rgb"], again.streams["rgb"])


def test_a_backbone_without_a_flow_stream(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^backbone 'r3d_18' has no flow stream; add --set extract.streams=\[rgb\]"):
        extracted(tmp_path, "extract.backbone=r3d_18")


def test_features_of_ten_crops_are_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all crops look alike, the mirrored ones move the other way, and the motion of all together is none."""
    found, n_looks = {}, {}
    for crops in ("centre", "ten"):
        studio = Studio(monkeypatch)
        path = studio.add(range(0, 60, 3), width=60)
        wanted = ExtractSettings(short_side=40, crop=32, crops=crops, length=8, stride=4)  # type: ignore[arg-type]
        with closing(studio.extractor(settings=wanted)) as extractor:
            found[crops] = extractor.extract(path, {})
        n_looks[crops] = sum(studio.networks["rgb"].batches)
    assert n_looks["ten"] == 10 * n_looks["centre"] == 10 * len(found["ten"].streams["rgb"])
    assert np.array_equal(found["ten"].streams["rgb"], found["centre"].streams["rgb"])
    assert np.all(found["centre"].streams["flow"][:, :8] > 0)
    assert not found["ten"].streams["flow"].any()


def test_frames_of_a_given_size(tmp_path: Path) -> None:
    squashed = extracted(tmp_path, "extract.size=[40, 32]")
    assert squashed.provenance["settings"]["size"] == [40, 32]
    kept: Settings = config.load(sets=["extract.fps=25"])
    assert kept.extract.size is None and kept.extract.fps == Fraction(25)
