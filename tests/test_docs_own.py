"""The guides' files of one's own: saved where the guides say, they are found and do what is claimed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import clips
import cv2
import documents
import numpy as np
import pytest
import torch
from documents import Block
from small import World, tal

import extract.decoders
import extract.flow
from tal import config, methods, models
from tal.files import shipped, shipped_module
from tal.methods._base import Batch
from tal.pipeline import learning

WRITTEN = {block.about: block for block in documents.blocks("python", "yaml") if block.mark == "file"}
OPTIONS = ["--set", "train.steps=30", "--set", "train.n_snippets=16"]


def save(block: Block, folder: Path) -> Path:
    """Write a block under the last part of the name that the guide gives it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / Path(block.about).name
    path.write_text(block.text, encoding="utf-8")
    return path


@pytest.fixture
def lse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The guide's method beside those that are there."""
    source = save(WRITTEN["tal/methods/lse.py"], tmp_path / "methods")
    shutil.copytree(shipped("configs"), tmp_path / "configs")
    save(WRITTEN["configs/methods/lse.yaml"], tmp_path / "configs" / "methods")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(source.parent)])
    monkeypatch.setattr(config, "shipped", lambda folder: tmp_path / folder)
    monkeypatch.setattr(learning, "shipped_module", lambda name: source if "lse" in name else shipped_module(name))
    yield source
    sys.modules.pop("tal.methods.lse", None)


@pytest.mark.usefixtures("lse")
def test_the_method_is_found_with_its_settings() -> None:
    assert "lse" in methods.available()
    settings = config.load("lse")
    assert settings.method == {"name": "lse", "sharpness": 1.0}
    assert settings.localize.rule == "max"
    with pytest.raises(Exception, match=r"method\.sharpnes'.*did you mean"):
        methods.resolve({"name": "lse", "sharpnes": 2})


@pytest.mark.usefixtures("lse")
def test_the_method_finds_a_planted_action() -> None:
    torch.manual_seed(0)
    network = models.build({"name": "lse", "sharpness": 1.0}, 16, 2)
    generator = torch.Generator().manual_seed(1)
    features, labels = 0.1 * torch.rand(8, 12, 16, generator=generator), torch.eye(2).repeat(4, 1)
    for i in range(8):
        features[i, 3:6, i % 2 :: 2] += 1
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(60):
        for losses in network.objectives(Batch(features, labels)):
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
    found = network.activate(features[0])
    assert sorted(np.argsort(found.signal[:, 0])[-3:].tolist()) == [3, 4, 5]
    assert found.scores[0] > found.scores[1]


@pytest.mark.usefixtures("lse", "ran")
def test_the_method_trains_and_localizes_by_the_guides_commands(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.folder / "out" / "features", tmp_path / "features")
    shutil.copy(world.data.labels, tmp_path / "labels.csv")
    (tmp_path / "my_video.mp4").symlink_to(max(world.data.videos.glob("*.mp4")))
    (block,) = [one for one in documents.blocks("sh") if one.mark == "runs" and one.about == "lse"]
    first, second = documents.command_lines(block.text)
    for words in ([*first, *OPTIONS], second):
        done = tal(*words, cwd=tmp_path, cache=world.cache)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "lse" / "model.safetensors").is_file()
    assert (tmp_path / "detections.json").is_file()


def test_the_flow_engine_finds_a_shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(WRITTEN["extract/flow/dis.py"], tmp_path)
    monkeypatch.setattr(extract.flow, "__path__", [*extract.flow.__path__, str(source.parent)])
    extract.flow._backends.cache_clear()
    try:
        assert extract.flow.available()["dis"] is None
        rng = np.random.default_rng(0)
        coarse = rng.random((12, 14)).astype(np.float32)
        large = (255 * cv2.resize(coarse, (112, 96), interpolation=cv2.INTER_CUBIC)).clip(0, 255).astype(np.uint8)
        gray = np.stack([large[8:88, 8:104], large[9:89, 6:102]])  # what was at (x, y) is now at (x + 2, y - 1)
        with extract.flow.load("dis") as engine:
            flow = engine.pairs(gray)
        assert flow.shape == (1, 80, 96, 2)
        assert np.abs(np.median(flow[0], axis=(0, 1)) - [2, -1]).max() < 0.1
    finally:
        extract.flow._backends.cache_clear()


def test_the_decoder_brightens_and_keeps_the_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(WRITTEN["extract/decoders/brightened.py"], tmp_path / "decoders")
    monkeypatch.setattr(extract.decoders, "__path__", [*extract.decoders.__path__, str(source.parent)])
    video = clips.write(tmp_path / "dark.mp4", range(5), size=(48, 32))
    assert extract.decoders.available()["brightened"] is None
    assert extract.decoders.choose("auto") != "brightened"
    plain = list(extract.decoders.load("pyav").frames(video))
    bright = list(extract.decoders.load("brightened").frames(video))
    assert [frame.time_s for frame in bright] == [frame.time_s for frame in plain]
    expected = 255 * np.sqrt(plain[2].rgb() / 255)
    assert np.abs(bright[2].rgb() - expected).max() <= 0.5
