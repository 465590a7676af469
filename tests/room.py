"""A folder of small videos that is extracted with engines that cost nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clips
import cv2
import numpy as np
import pytest
from made_up import SETTINGS, Difference, Network

from extract import features
from extract.features import Extractor
from tal import shards
from tal.cache import Cache
from tal.pipeline import ExtractReport, extract, filling, planning
from tal.pipeline import extraction as extraction_module
from tal.pipeline.engines import Recipe
from tal.pipeline.planning import Plan, plan_extraction
from tal.settings import RuntimeSettings, Settings


class Room:
    """A folder of videos, a folder for shards, and engines that cost nothing."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.videos, self.out, self.cache = folder / "videos", folder / "features", Cache(folder / "cache")
        self.networks: dict[str, Any] = {"rgb": Network(), "flow": Network()}
        self.weights = "w1"
        self.videos.mkdir()
        monkeypatch.setattr(features, "open_flow", lambda settings, runtime: Difference())
        monkeypatch.setattr(filling, "lend_extractor", self._lend)
        monkeypatch.setattr(extraction_module, "recipe_for", self._recipe)
        monkeypatch.setattr(planning, "recipe_if_there", self._recipe)

    def _recipe(self, ctx: Any, videos: Any) -> Recipe:
        s = ctx.settings.extract
        resolved = s.model_copy(
            update={"decoder": "pyav", "flow": s.flow.model_copy(update={"backend": planning.resolved(s).flow.backend})}
        )
        return Recipe(resolved, {}, {"rgb": self.weights, "flow": self.weights})

    @contextmanager
    def _lend(self, recipe: Recipe, ctx: Any) -> Iterator[Extractor]:
        yield Extractor(recipe.settings, ctx.settings.runtime, self.networks, recipe.provenance)

    def settings(self, **changed: Any) -> Settings:
        batch = RuntimeSettings(batch=2)
        return Settings(extract=SETTINGS.model_copy(update=changed), runtime=batch)

    def add(self, name: str, n_frames: int) -> Path:
        return clips.write(self.videos / f"{name}.mp4", range(n_frames), size=(48, 32))

    def extract(self, **more: Any) -> ExtractReport:
        return extract(self.videos, self.out, self.settings(), **{"cache": self.cache, **more})

    def plan(self, settings: Settings | None = None, **more: Any) -> Plan:
        return plan_extraction(self.videos, self.out, settings or self.settings(), **{"cache": self.cache, **more})

    def shards(self) -> list[str]:
        return sorted(path.stem for path in self.out.glob("*.safetensors"))


class FlowRoom(Room):
    """A room whose extractions write flow into one folder, and read it from another."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        self.flow = folder / "flow"

    def saving(self, **changed: Any) -> Settings:
        return Settings(extract=self.settings(**changed).extract, runtime=RuntimeSettings(save_flow=str(self.flow)))

    def reading(self, folder: Path | None = None) -> Settings:
        return self.settings(flow_images=str(folder or self.flow))

    def make(self, settings: Settings, out: str = "", **more: Any) -> ExtractReport:
        return extract(self.videos, self.out / out, settings, **{"cache": self.cache, **more})

    def images(self, name: str) -> list[Path]:
        return sorted((self.flow / name).iterdir())

    def key(self, name: str, out: str) -> str:
        return shards.header(self.out / out / f"{name}.safetensors").key

    def add_images(self, name: str, n_frames: int) -> None:
        """Write a video and, as others would, images of a flow of 4 px right and down."""
        self.add(name, n_frames)
        (self.flow / name).mkdir(parents=True)
        for i in range(n_frames - 1):
            for axis in "xy":
                cv2.imwrite(str(self.flow / name / f"flow_{axis}_{i:05d}.jpg"), np.full((32, 48), 153, np.uint8))
