"""What determines features that are made from flow images, and engines lent to several videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from room import FlowRoom

from tal.cache import Cache
from tal.errors import ConfigError, WeightsError
from tal.pipeline import calibration, engines, extract, extraction, planning
from tal.pipeline.context import context
from tal.pipeline.engines import Recipe, recipe_of, resolved
from tal.settings import ExtractSettings, FlowSettings, RuntimeSettings, Settings


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlowRoom:
    return FlowRoom(tmp_path, monkeypatch)


def test_settings_that_contradict_each_other(room: FlowRoom) -> None:
    room.add("a", 30)
    runtime = RuntimeSettings(save_flow="flow")
    for changed, reason in (
        ({"streams": ("rgb",)}, "without the flow stream no flow is computed; leave one out"),
        ({"flow_images": "there"}, "flow is read from extract.flow_images, not computed; leave one out"),
    ):
        wrong = Settings(extract=ExtractSettings.model_validate(changed), runtime=runtime)
        for call in (extract, planning.plan_extraction):
            with pytest.raises(ConfigError) as caught:
                call(room.videos, room.out, wrong, cache=room.cache)  # type: ignore[operator]
            assert str(caught.value) == f"runtime.save_flow: {reason}"
    with pytest.raises(ConfigError) as caught:
        resolved(ExtractSettings(flow=FlowSettings(backend="images")))
    assert str(caught.value) == ("flow backend 'images': name the folder of images with --set extract.flow_images=DIR")


def test_images_are_neither_quantised_again_nor_is_an_engine_named(tmp_path: Path) -> None:
    given = ExtractSettings(flow_images=str(tmp_path), flow=FlowSettings(backend="opencv", preset="mmaction"))
    assert resolved(given).flow == FlowSettings(backend="images", preset="i3d")
    rgb = resolved(given.model_copy(update={"streams": ("rgb",)}))
    assert rgb.flow.backend == "none" and not rgb.reads_flow


def test_a_model_of_images_asks_for_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s = resolved(ExtractSettings(weights="random:0", flow_images=str(tmp_path)))
    about = Recipe(s, {}, {"rgb": "1", "flow": "2"}).provenance
    with pytest.raises(ConfigError) as caught:
        recipe_of(about, context(Settings(), Cache(tmp_path / "cache"), None))
    assert str(caught.value) == (
        "the model's features were made from flow images; write these videos' flow as images, too, and name the "
        "folder with --set extract.flow_images=DIR"
    )
    given = context(Settings(extract=ExtractSettings(flow_images="other")), Cache(tmp_path / "cache"), None)
    with pytest.raises(WeightsError, match="random weights that are not in the cache"):
        recipe_of(about, given)  # that one is content with the folder
    files = {stream: tmp_path / stream for stream in ("rgb", "flow")}
    for stream, file in files.items():
        file.write_text(stream)
    known = {stream: given.cache.sha256(file) for stream, file in files.items()}
    monkeypatch.setattr(engines, "calibrated_before", lambda *_: files)
    again = recipe_of({**about, "weights": known}, given)
    assert (again.settings.flow_images, again.settings.flow.backend) == ("other", "images")
    computed = {**about["settings"], "flow": {"backend": "native"}}
    assert recipe_of({**about, "weights": known, "settings": computed}, given).settings.flow_images == ""


def test_random_weights_depend_on_the_images_they_are_calibrated_on(room: FlowRoom) -> None:
    room.add_images("a", 30)
    room.add("b", 30)
    videos, computed = [room.videos / "a.mp4", room.videos / "b.mp4"], resolved(room.settings().extract)
    read = resolved(room.reading().extract)
    _, fields = calibration._calibration(0, read, videos, room.cache)
    assert len(fields["flow_images"][0]) == 64 and fields["flow_images"][1] is None
    assert "flow_images" not in calibration._calibration(0, computed, videos, room.cache)[1]
    assert "flow_images" not in fields["settings"]


def test_several_videos_share_engines_that_are_opened_when_needed(
    room: FlowRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [room.add(name, n) for name, n in (("a", 20), ("b", 21), ("c", 22))]
    ctx, other = (context(room.settings(), Cache(tmp_path / name), None) for name in ("one", "two"))
    recipe, opened = room._recipe(ctx, videos), []

    def counting(*arguments: Any) -> Any:
        opened.append(arguments)
        return room._lend(*arguments)

    monkeypatch.setattr(extraction, "lend_extractor", counting)
    with extraction.opened_once(recipe, ctx) as lent:
        assert len(opened) == 0
        together = [extraction.features_of(video, recipe, ctx, lent) for video in videos]
    assert len(opened) == 1
    alone = [extraction.features_of(video, recipe, other) for video in videos]
    assert len(opened) == 4
    assert [p.read_bytes() for p in together] == [p.read_bytes() for p in alone]
    with extraction.opened_once(recipe, ctx) as lent:
        assert [extraction.features_of(video, recipe, ctx, lent) for video in videos] == together
    assert len(opened) == 4
