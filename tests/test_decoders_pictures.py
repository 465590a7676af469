"""One contract over all decoders that this machine can use: sizes, colours, depths, turned and interlaced pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import clips
import decoding
import numpy as np
import oddities
import pytest
from decoding import refuses, shown

from extract.decoders._base import Decoder

decoder = decoding.decoder  # a fixture


@pytest.mark.parametrize("size", [(161, 121), (121, 161), (34, 50)])
def test_odd_sizes(decoder: Decoder, tmp_path: Path, size: tuple[int, int]) -> None:
    codec, pix_fmt = ("libx264", "yuv444p") if clips.CODEC == "libx264" else ("ffv1", "bgr0")
    path = clips.write(tmp_path / "a.mkv", range(5), size=size, codec=codec, pix_fmt=pix_fmt)
    pictures = [frame.rgb() for frame in decoder.frames(path)]
    assert {(picture.shape, picture.dtype) for picture in pictures} == {((size[1], size[0], 3), np.dtype(np.uint8))}
    assert [clips.index_of(picture) for picture in pictures] == [0, 1, 2, 3, 4]


def test_channels_are_red_green_blue(decoder: Decoder, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", range(3))
    rgb = next(iter(decoder.frames(path))).rgb().astype(int)
    assert np.abs(rgb[90, 40] - [255, 0, 0]).max() < 12
    assert np.abs(rgb[90, 120] - [0, 0, 255]).max() < 12
    assert np.abs(rgb[30, 8]).max() < 12


WEIGHTS = {1: (0.2126, 0.0722), 2: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Weights of red and blue in luma by the matrix's number, ITU-T H.273 table 4; 2 is "not said", taken for BT.601."""


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("is_full", [False, True])
def test_colour_matrix_and_range_are_the_files(decoder: Decoder, tmp_path: Path, matrix: int, is_full: bool) -> None:
    yuv, (red, blue) = (150, 100, 170), WEIGHTS[matrix]
    path = oddities.plain(tmp_path / "a.mkv", yuv, colorspace=matrix, color_range=2 if is_full else 1)
    luma = yuv[0] / 255 if is_full else (yuv[0] - 16) / 219
    cb, cr = ((level - 128) / (255 if is_full else 224) for level in yuv[1:])
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    expected = 255 * np.array([r, (luma - red * r - blue * b) / (1 - red - blue), b])
    for frame in decoder.frames(path):
        assert np.abs(frame.rgb() - expected).max() <= 2


@pytest.mark.parametrize("flags", [(1, 16, 1), (9, 18, 9), (12, 1, 1)], ids=["PQ", "HLG", "Display P3"])
def test_only_matrix_and_range_change_colours(decoder: Decoder, tmp_path: Path, flags: tuple[int, int, int]) -> None:
    primaries, transfer, matrix = flags
    path = oddities.plain(tmp_path / "a.mkv", (150, 100, 170), colorspace=matrix, color_range=1)
    usual = next(iter(decoder.frames(path))).rgb()
    named = {"colorspace": matrix, "color_range": 1, "color_primaries": primaries, "color_trc": transfer}
    path = oddities.plain(tmp_path / "wide.mkv", (150, 100, 170), **named)
    if not refuses(decoder, path, "wide colours"):
        assert np.array_equal(next(iter(decoder.frames(path))).rgb(), usual)


def test_ten_bits(decoder: Decoder, tmp_path: Path) -> None:
    codec, pix_fmt = ("libx264", "yuv420p10le") if clips.CODEC == "libx264" else ("ffv1", "yuv420p10le")
    path = clips.write(tmp_path / "a.mkv", range(5), codec=codec, pix_fmt=pix_fmt)
    for index, frame in enumerate(decoder.frames(path)):
        assert np.abs(frame.rgb().astype(int) - clips.picture(index)).mean() < 6


@pytest.mark.parametrize("name", oddities.MATRICES)
def test_every_way_to_turn_and_mirror(decoder: Decoder, tmp_path: Path, name: str) -> None:
    matrix = oddities.MATRICES[name]
    path = oddities.display(clips.write(tmp_path / "a.mp4", range(6)), matrix)
    info = decoder.probe(path)
    assert info.mirrored == ("mirrored" in name or "transposed" in name)
    if refuses(decoder, path, "mirrored" if info.mirrored else "turned"):
        return
    for index, frame in enumerate(decoder.frames(path)):
        rgb, expected = frame.rgb(), oddities.as_shown(clips.picture(index), matrix)
        assert rgb.shape == expected.shape == (info.height, info.width, 3)
        assert np.abs(rgb.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_told_clockwise(decoder: Decoder, tmp_path: Path, rotation: int) -> None:
    info = decoder.probe(clips.write(tmp_path / "a.mp4", range(6), rotation=rotation))
    assert (info.rotation, info.mirrored) == (rotation, False)


def test_interlaced_pictures(decoder: Decoder, tmp_path: Path) -> None:
    path = oddities.mpeg(tmp_path / "a.mkv", 30, oddities.INTERLACED)
    if not refuses(decoder, path, "interlaced"):
        assert shown(decoder, path) == [(i, Fraction(i, 25)) for i in range(30)]


def test_a_picture_outlives_its_reader(decoder: Decoder, tmp_path: Path) -> None:
    frames = list(decoder.frames(clips.write(tmp_path / "a.mp4", range(20))))
    pictures = [frame.rgb() for frame in frames]
    for frame in frames:
        frame.rgb()[:] = 7  # each call converts anew
    assert [clips.index_of(picture) for picture in pictures] == list(range(20))
    assert [clips.index_of(frame.rgb()) for frame in frames] == list(range(20))
