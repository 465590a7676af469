"""Flow as images: what is written is read back, errors read so, nothing of a failed video stays."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import POISON, SETTINGS, Difference, Studio
from moving import moved
from patience import until

from extract import features, flow
from extract.features import Request, open_flow
from extract.flow import presets
from extract.flow_images import QUALITY, Computed, Stored, files_of, levels, px
from tal.errors import InputError, TalError, VideoError
from tal.settings import ExtractSettings, RuntimeSettings
from tal.types import Features, FloatArray

SIDE = SETTINGS.short_side


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Studio:
    return Studio(monkeypatch)


def settings(folder: Path) -> ExtractSettings:
    return SETTINGS.model_copy(update={"flow_images": str(folder)})


def result(studio: Studio, request: Request, s: ExtractSettings = SETTINGS) -> Features | TalError:
    ((_, found),) = studio.extractor(settings=s).run([request])
    return found


def write(folder: Path, shown: list[int], first: int = 0, size: tuple[int, int] = (SIDE, SIDE)) -> Path:
    """Write images of one gray level each, x and y alike, by OpenCV alone; size is width and height."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, level in enumerate(shown):
        for axis in "xy":
            cv2.imwrite(str(folder / f"flow_{axis}_{i + first:05d}.jpg"), np.full(size[::-1], level, np.uint8))
    return folder


def test_gray_levels_are_those_of_denseflow() -> None:
    v = np.array([-99, -20, -10, 0, 10, 20, 99], np.float32)
    # 255 (v + 20) / 40, half to even: 0, 63.75, 127.5, 191.25, 255
    assert levels(v).tolist() == [0, 0, 64, 128, 191, 255, 255]
    assert px(np.array([0, 51, 255], np.uint8)).tolist() == [-20, -12, 20]


@given(st.lists(st.floats(-30, 30, width=32), min_size=1))
def test_eight_bits_are_those_of_the_preset_denseflow(values: list[float]) -> None:
    v = np.array(values, np.float32)
    assert px(levels(v)) / 20 == pytest.approx(presets.apply(v, presets.preset("denseflow")), abs=1e-6)
    assert np.abs(px(levels(v)) - v.clip(-20, 20)).max() <= 20 / 255 + 1e-5


def test_computed_flow_is_read_back_within_eight_bits_and_jpeg(tmp_path: Path) -> None:
    gray = moved(7, (48, 64), step=2)
    with flow.load("native", workers=1, quality="fast") as engine:
        source = Computed(engine, tmp_path / "v")
        computed = np.concatenate([source.pairs(gray[:4]), source.pairs(gray[3:]), source.pairs(gray[6:])])
        source.end(True)
    assert sorted(p.name for p in (tmp_path / "v").iterdir()) == [
        f"flow_{axis}_{i:05d}.jpg" for axis in "xy" for i in range(6)
    ]
    stored = Stored(tmp_path / "v")
    found = np.concatenate([stored.pairs(gray[:2]), stored.pairs(gray[1:])])
    stored.end(True)
    assert found.shape == computed.shape == (6, 48, 64, 2) and found.dtype == np.float32
    assert np.median(computed[..., 0]) == pytest.approx(-2, abs=0.2)  # to the left
    error = np.abs(found - computed)
    assert error.mean() < 0.1 and error.max() < 1.5


def test_x_is_to_the_right_and_y_down_in_a_file_that_others_can_read(tmp_path: Path) -> None:
    class Still(Difference):
        def _solve(self, gray: np.ndarray) -> FloatArray:
            return np.full((len(gray) - 1, *gray.shape[1:], 2), (4, -8), np.float32)

    Computed(Still(), tmp_path / "v").pairs(np.zeros((2, 10, 14), np.uint8))
    x, y = (cv2.imread(str(tmp_path / "v" / f"flow_{a}_00000.jpg"), cv2.IMREAD_UNCHANGED) for a in "xy")
    assert x is not None and y is not None and x.shape == y.shape == (10, 14)
    assert set(x.flat) == {153} and set(y.flat) == {76}  # 255 * 24 / 40 = 153, 255 * 12 / 40 = 76.5, to even
    assert QUALITY == 95


def test_features_from_images_are_those_of_flow_in_eight_bits(studio: Studio, tmp_path: Path) -> None:
    values = [100 + (7 * i) % 15 for i in range(45)]  # JPEG keeps an even picture as it is
    path = studio.add(values)
    result(studio, Request(path, {}, tmp_path / path.stem))
    read = result(studio, Request(path), settings(tmp_path))
    quantised = SETTINGS.model_copy(update={"flow": SETTINGS.flow.model_copy(update={"preset": "denseflow"})})
    computed = result(studio, Request(path), quantised)
    assert isinstance(read, Features) and isinstance(computed, Features)
    assert len(list(tmp_path.rglob("*.jpg"))) == 2 * 44
    assert np.array_equal(read.streams["rgb"], computed.streams["rgb"])
    assert read.streams["flow"] == pytest.approx(computed.streams["flow"], abs=1e-6)
    assert read.motion == pytest.approx(computed.motion, abs=20 / 255 * 2**0.5)


def test_images_that_count_from_1_are_read(studio: Studio, tmp_path: Path) -> None:
    shown = [51, 102, 153, 204, 255, 0, 51]  # -12, -4, 4, 12, 20, -20, -12 px
    write(tmp_path / "zero" / "video_000", shown), write(tmp_path / "one" / "video_000", shown, first=1)
    (tmp_path / "one" / "video_000" / "img_00001.jpg").write_bytes(b"frames may lie beside")
    path = studio.add(range(8))
    for name in ("zero", "one"):
        found = result(studio, Request(path), settings(tmp_path / name))
        assert isinstance(found, Features)
        wanted = np.array([-12, -4, 4, 12, 20, -20, -12, -12]) / 20  # the last frame repeats the flow before it
        assert found.streams["flow"][0, :8] == pytest.approx(wanted, abs=1e-6)


def test_no_engine_is_opened_for_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("an engine was opened")

    monkeypatch.setattr(features.flow_engines, "load", refuse)
    assert open_flow(settings(tmp_path), RuntimeSettings()) is None
    with pytest.raises(AssertionError):
        open_flow(SETTINGS, RuntimeSettings())


@pytest.mark.parametrize(
    ("n", "size", "message"),
    [
        (5, (SIDE, SIDE), "{0}: 5 pairs of flow images, but the video has more frames than that; {1}"),
        (9, (SIDE, SIDE), "{0}: 9 pairs of flow images, but the video has 8 frames; {1}"),
        (7, (40, 30), "{0}/flow_x_00000.jpg: 40x30 px, but frames are 32x32 px; set extract.size=[40,30]"),
    ],
)
def test_images_of_other_frames_are_told(
    studio: Studio, tmp_path: Path, n: int, size: tuple[int, int], message: str
) -> None:
    path, folder = studio.add(range(8)), write(tmp_path / "video_000", [128] * n, size=size)
    good = studio.add(range(20))
    write(tmp_path / "video_001", [128] * 19)
    (_, bad), (_, found) = studio.extractor(settings=settings(tmp_path)).run(map(Request, (path, good)))
    assert isinstance(bad, VideoError) and isinstance(found, Features)
    assert str(bad) == message.format(folder, "set extract.fps to the rate the images were made at")


def test_missing_images_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as none:
        Stored(tmp_path / "v")
    assert str(none.value) == (
        f"{tmp_path / 'v'}: no flow images of this video (No such file or directory); "
        "extract.flow_images names a folder with one folder of images for each video"
    )
    for gone in ("flow_y_00002.jpg", "flow_x_00000.jpg", "flow_x_00003.jpg"):
        folder = write(tmp_path / gone, [128] * 4)
        (folder / gone).unlink()
        with pytest.raises(InputError) as gap:
            Stored(folder)
        assert str(gap.value) == (
            f"{folder}: flow images are missing; flow_x_00000.jpg and flow_y_00000.jpg count from 0 or 1 without gaps"
        )
    late = write(tmp_path / "late", [128] * 4, first=2)
    with pytest.raises(InputError, match="count from 0 or 1 without gaps"):
        Stored(late)


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_image_is_told(tmp_path: Path, damage: str) -> None:
    folder = write(tmp_path / "v", [128] * 3)
    image = folder / "flow_y_00001.jpg"
    whole = image.read_bytes()
    image.write_bytes({"cut": whole[: len(whole) // 2], "text": b"no image", "empty": b""}[damage])
    stored, gray = Stored(folder), np.zeros((2, SIDE, SIDE), np.uint8)
    assert stored.pairs(gray).shape == (1, SIDE, SIDE, 2)
    with pytest.raises(VideoError) as caught:
        stored.pairs(gray)
    assert str(caught.value) == f"{image}: not a whole JPEG image; make the flow images of this video again"


def test_more_images_than_five_digits_count_are_in_order(tmp_path: Path) -> None:
    write(tmp_path, [0, 51, 102, 153], first=99_998)
    names = [file.name for file in files_of(tmp_path) if "_x_" in file.name]
    assert names == [f"flow_x_{i}.jpg" for i in (99_998, 99_999, 100_000, 100_001)]


def test_a_video_that_breaks_off_leaves_no_images(studio: Studio, tmp_path: Path) -> None:
    found = result(studio, Request(studio.add(range(200), breaks_at=150), {}, tmp_path / "a"))
    assert isinstance(found, TalError) and not (tmp_path / "a").exists()
    poisoned = studio.add([POISON, *range(100)] * 40)
    found = result(studio, Request(poisoned, {}, tmp_path / "b"))
    assert isinstance(found, TalError) and str(found) == "not finite"
    n_frames = studio.videos[poisoned].n_decoded
    assert n_frames < 4040 and not (tmp_path / "b").exists()


def test_an_interruption_leaves_no_images(studio: Studio, tmp_path: Path) -> None:
    requests = [Request(studio.add([1, 2, 3])), Request(studio.add(range(10**9)), {}, tmp_path / "endless")]
    with closing(studio.extractor().run(requests)) as results:
        next(results)
        until(lambda: list(tmp_path.rglob("*.jpg")))
    assert list(tmp_path.iterdir()) == []
