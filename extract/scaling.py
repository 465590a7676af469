"""Frames to one size."""

from __future__ import annotations

from tal.types import ByteArray

Size = tuple[int, int]
"""Width and height, px."""


def size_of(width: int, height: int, short_side: int) -> Size:
    """Return the size whose shorter side is `short_side`, the longer one rounded to the nearest px."""
    shorter, longer = sorted((width, height))
    scaled_px = (2 * longer * short_side + shorter) // (2 * shorter)
    return (short_side, scaled_px) if width <= height else (scaled_px, short_side)


def scaled(rgb: ByteArray, size: Size) -> ByteArray:
    """Return `rgb`, (H, W, 3), bilinearly scaled to `size`; as it is where it has that size."""
    import cv2

    if rgb.shape[1::-1] == size:
        return rgb
    result: ByteArray = cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR)
    return result
