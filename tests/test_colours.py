"""Colours: flat patches against the formulas of ITU-T H.273, and against the ffmpeg program's own conversion."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from program import difference, need_ffmpeg, theirs, unscaled

from extract.video import open_video
from tal.errors import VideoError

PAL = Fraction(25)
N_PATCHES, PATCH = 16, 16
"""Patches along each side, and px along each side of one: chroma is interpolated across their edges."""
WEIGHTS = {1: (0.2126, 0.0722), 2: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""K_R and K_B by the number of the matrix (H.273, table 4); 2, "unspecified", is BT.601, as in FFmpeg."""
BT709, UNSPECIFIED, YCGCO, BT2020 = 1, 2, 8, 9
SAID_NOTHING, LIMITED, FULL = 0, 1, 2
LEVELS = {"yuv420p": 3, "yuv422p": 3, "yuv444p": 1, "yuv420p10le": 4, "yuv444p10le": 4}
"""How far FFmpeg's own conversion is off: where chroma is subsampled or deeper than 8 bits it truncates."""
CASES = [(m, r, f) for m in WEIGHTS for r in (SAID_NOTHING, LIMITED, FULL) for f in LEVELS]


def stored(depth: int, colour_range: int) -> np.ndarray:
    """Return random Y, Cb and Cr within their range, (3, N, N)."""
    most = np.array([255, 255, 255] if colour_range == FULL else [235, 240, 240])
    least = np.array([0, 0, 0] if colour_range == FULL else [16, 16, 16])
    shares = np.random.default_rng(3).random((N_PATCHES, N_PATCHES, 3))
    codes = np.round((least + shares * (most - least)) * 2 ** (depth - 8))
    return np.moveaxis(codes, -1, 0).astype(np.uint16 if depth > 8 else np.uint8)


def formula(codes: np.ndarray, matrix: int, colour_range: int, depth: int) -> np.ndarray:
    """Return RGB, (N, N, 3) in [0, 255], of stored Y, Cb and Cr (H.273, equations 20 to 43)."""
    one, (k_r, k_b) = 2.0 ** (depth - 8), WEIGHTS[matrix]
    y, cb, cr = codes.astype(np.float64)
    if colour_range == FULL:
        y, cb, cr = (value / (256 * one - 1) for value in (y, cb - 128 * one, cr - 128 * one))
    else:
        y, cb, cr = (y / one - 16) / 219, (cb / one - 128) / 224, (cr / one - 128) / 224
    r, b = y + 2 * (1 - k_r) * cr, y + 2 * (1 - k_b) * cb
    return 255 * np.stack([r, (y - k_r * r - k_b * b) / (1 - k_r - k_b), b], axis=-1).clip(0, 1)


def write(path: Path, codes: np.ndarray, matrix: int, colour_range: int, pix_fmt: str) -> Path:
    """Write the patches as a lossless frame whose header names its matrix and range."""
    side = N_PATCHES * PATCH
    frame = av.VideoFrame(side, side, pix_fmt)
    for plane, values in zip(frame.planes, codes, strict=True):
        size = plane.height // N_PATCHES, plane.width // N_PATCHES
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        picture = np.kron(values, np.ones(size, values.dtype)).view(np.uint8)
        rows[:, : picture.shape[1]] = picture
        plane.update(rows)
    frame.colorspace, frame.color_range, frame.pts = matrix, colour_range, 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = side
        stream.pix_fmt = pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, colour_range
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def depth_of(pix_fmt: str) -> int:
    return av.VideoFormat(pix_fmt, 16, 16).components[0].bits


def shown(path: Path) -> np.ndarray:
    (rgb,) = unscaled(path, PAL)
    return rgb


def middles(rgb: np.ndarray) -> np.ndarray:
    return rgb[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH]


@pytest.mark.parametrize(("matrix", "colour_range", "pix_fmt"), CASES)
def test_closed_form(tmp_path: Path, matrix: int, colour_range: int, pix_fmt: str) -> None:
    depth = depth_of(pix_fmt)
    codes = stored(depth, colour_range)
    path = write(tmp_path / "a.mkv", codes, matrix, colour_range, pix_fmt)
    error = np.abs(middles(shown(path)) - formula(codes, matrix, colour_range, depth))
    assert error.max() <= LEVELS[pix_fmt]
    assert error.mean() <= 1.25


@pytest.mark.ffmpeg
@pytest.mark.parametrize(("matrix", "colour_range", "pix_fmt"), CASES)
def test_as_ffmpeg_converts(tmp_path: Path, matrix: int, colour_range: int, pix_fmt: str) -> None:
    need_ffmpeg()
    codes = stored(depth_of(pix_fmt), colour_range)
    path = write(tmp_path / "a.mkv", codes, matrix, colour_range, pix_fmt)
    ((_, expected),) = theirs(path, PAL)
    assert difference(shown(path), expected) == 0


@pytest.mark.parametrize("pix_fmt", LEVELS)
def test_what_headers_say_matters(tmp_path: Path, pix_fmt: str) -> None:
    """One picture under headers that differ in nothing but matrix or range looks different."""
    codes = stored(depth_of(pix_fmt), LIMITED)
    said = [(BT709, LIMITED), (BT709, FULL), (UNSPECIFIED, LIMITED), (UNSPECIFIED, FULL), (BT2020, LIMITED)]
    pictures = [shown(write(tmp_path / f"{m}-{r}.mkv", codes, m, r, pix_fmt)) for m, r in said]
    for i, one in enumerate(pictures):
        assert all(difference(one, other) >= 12 for other in pictures[:i])


def test_what_headers_say_is_told(tmp_path: Path) -> None:
    codes = stored(8, LIMITED)
    for matrix, colour in ((BT709, "bt709"), (5, "bt470bg"), (6, "smpte170m"), (BT2020, "bt2020nc"), (UNSPECIFIED, "")):
        for colour_range, range_name in ((LIMITED, "limited"), (FULL, "full")):
            path = write(tmp_path / f"{matrix}-{colour_range}.mkv", codes, matrix, colour_range, "yuv420p")
            info = open_video(path, PAL, 16).info
            assert (info.colour, info.colour_range, info.pixel_format) == (colour, range_name, "yuv420p")


def test_colours_that_ffmpeg_cannot_convert_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", stored(8, LIMITED), YCGCO, LIMITED, "yuv420p")
    with pytest.raises(VideoError, match=r"^[^\n]*a\.mkv: [^\n]* cannot be converted"):
        shown(path)


@pytest.mark.parametrize("height", [576, 720])
def test_no_matrix_is_guessed_from_the_size(tmp_path: Path, height: int) -> None:
    """Players take BT.709 for high definition where a file says nothing; FFmpeg and we take BT.601 for all sizes."""
    red = np.zeros((height, 1024, 3), np.uint8)
    red[..., 0] = 255
    frame = av.VideoFrame.from_ndarray(red, "rgb24").reformat(format="yuv444p")
    frame.pts = 0
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1024, height, "yuv444p"
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert open_video(tmp_path / "a.mkv", PAL, 16).info.colour == ""
    assert difference(shown(tmp_path / "a.mkv"), red) <= 2
