"""Scaled frames -> snippets that the networks can read, in memory that does not grow with the video.

Flow is computed between neighbouring scaled frames, before cropping; the flow of a frame is the motion from it to the
next one, and the last frame repeats the flow before it. Snippet i covers the frames [i * stride, i * stride + length).
A video shorter than one snippet is filled up with its last frame. However snippets overlap, a frame is converted once
and the flow of a pair computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from extract import flow as flow_engines
from extract.flow.presets import apply, preset
from tal.settings import ExtractSettings
from tal.types import ByteArray, FloatArray

if TYPE_CHECKING:
    import torch

BLOCK = 32
"""Frames whose flow is computed together, where the engine names no other number."""
Working = Callable[[], AbstractContextManager[object]]


class Pairs(Protocol):
    """What knows the flow between frames; an attribute ``block`` may say how many it takes together."""

    def pairs(self, gray: ByteArray) -> FloatArray:
        """Return the flow from each of `gray` (F, H, W) to the next, float32 (F - 1, H, W, 2), px."""


@dataclass(frozen=True)
class Frames:
    """Consecutive prepared frames: what the two networks read, and the motion of each frame.

    Attributes:
        rgb: Cropped frames, uint8 (F, h, w, 3).
        flow: Cropped network input in [-1, 1], float32 (F, h, w, 2).
        motion: Mean flow magnitude of the whole scaled frame, px per frame, (F,).
    """

    rgb: ByteArray
    flow: FloatArray
    motion: FloatArray

    def __len__(self) -> int:
        return len(self.rgb)

    def __getitem__(self, part: slice) -> Frames:
        return Frames(self.rgb[part], self.flow[part], self.motion[part])

    def __add__(self, other: Frames) -> Frames:
        return Frames(
            np.concatenate((self.rgb, other.rgb)),
            np.concatenate((self.flow, other.flow)),
            np.concatenate((self.motion, other.motion)),
        )

    def padded(self, n_frames: int) -> Frames:
        """Repeat the last frame up to `n_frames`."""
        index = np.minimum(np.arange(n_frames), len(self) - 1)
        return Frames(self.rgb[index], self.flow[index], self.motion[index])


def block_of(flow: object) -> int:
    """Return how many frames go to what knows the flow together; never changes a result."""
    return int(getattr(flow, "block", BLOCK))


def prepared(
    frames: Iterable[ByteArray],
    settings: ExtractSettings,
    source: Pairs | None,
    working: Working = nullcontext,
) -> Iterator[Frames]:
    """Turn scaled frames into blocks of network-ready frames, each with the flow to its successor.

    Args:
        frames: uint8 RGB (H, W, 3) of one size.
        settings: Crop, streams, flow convention.
        source: Knows the flow of this video; None where the flow stream is off.
        working: What it returns is entered around each block's work, not while frames are waited for.
    """
    convention, n_block = preset(settings.flow.preset), block_of(source)
    side = settings.crop if settings.crops == "centre" else 0  # several crops are cut out of whole snippets
    stream, last_flow = iter(frames), None
    held = list(islice(stream, 1))
    while held:
        more = list(islice(stream, n_block))
        with working():
            rgb = np.stack(held + more)
            flow = _flow(source, rgb)
            if more:
                last_flow, held, rgb = flow[-1:], more[-1:], rgb[:-1]
            else:  # the last frame of the video: repeat the flow that leads to it
                flow, held = np.zeros((1, *rgb.shape[1:3], 2), np.float32) if last_flow is None else last_flow, []
            motion = flow_engines.motion_px(flow)
            block = Frames(crop(rgb, side), apply(crop(flow, side), convention), motion)
        yield block


def _flow(source: Pairs | None, rgb: ByteArray) -> FloatArray:
    if source is None:
        return np.zeros((len(rgb) - 1, *rgb.shape[1:3], 2), np.float32)
    return source.pairs(flow_engines.to_gray(rgb))


def crop(frames: Any, side: int) -> Any:
    """Return the centre crop of (F, H, W, channels), or all of it for side 0."""
    if not side:
        return frames
    return _part(frames, (frames.shape[1] - side) // 2, (frames.shape[2] - side) // 2, side)


def views(snippet: Frames, settings: ExtractSettings) -> list[Frames]:
    """Return what the networks look at in a snippet: the centre, or ten crops with the centre first.

    Ten crops are the centre and the four corners, then the same mirrored left to right, where motion to the right
    becomes motion to the left.
    """
    if settings.crops == "centre":
        return [snippet]
    side, (height, width) = settings.crop, snippet.rgb.shape[1:3]
    down, right = height - side, width - side
    corners = [(down // 2, right // 2), (0, 0), (0, right), (down, 0), (down, right)]
    plain = [
        Frames(_part(snippet.rgb, *corner, side), _part(snippet.flow, *corner, side), snippet.motion)
        for corner in corners
    ]
    to_the_left = np.array([-1, 1], np.float32)
    mirrored = [Frames(one.rgb[:, :, ::-1], one.flow[:, :, ::-1] * to_the_left, one.motion) for one in plain]
    return plain + mirrored


def _part(frames: Any, top: int, left: int, side: int) -> Any:
    return frames[:, top : top + side, left : left + side]


def windows(blocks: Iterable[Frames], settings: ExtractSettings) -> Iterator[Frames]:
    """Cut a stream of frames into snippets by length, stride and tail rule, holding little more than one snippet."""
    length, stride = settings.length, settings.stride
    held: Frames | None = None
    skip = n_given = 0
    for block in blocks:
        held = block if held is None else held + block
        dropped = min(skip, len(held))
        held, skip = held[dropped:], skip - dropped
        while len(held) >= length:
            yield held[:length]
            n_given += 1
            dropped = min(stride, len(held))
            held, skip = held[dropped:], stride - dropped
    fresh = 0 if held is None else len(held) - (max(0, length - stride) if n_given else 0)
    if held is not None and len(held) and fresh > 0 and (settings.tail == "pad" or not n_given):
        yield held.padded(length)


def n_snippets(n_frames: int, settings: ExtractSettings) -> int:
    """Return how many snippets `windows` cuts out of `n_frames` frames."""
    if n_frames < settings.length:
        return min(1, n_frames)
    beyond = n_frames - settings.length
    n = beyond // settings.stride + 1
    uncovered = n_frames - max(n * settings.stride, (n - 1) * settings.stride + settings.length)
    return n + (settings.tail == "pad" and uncovered > 0)


def clips(batch: Sequence[Frames], stream: str) -> torch.Tensor:
    """Return one stream of a batch of snippets as (B, C, F, h, w) with channels last in memory.

    RGB stays uint8, a quarter of the bytes to be kept and sent; it is brought to [-1, 1] where the network computes.
    """
    import torch

    values = np.stack([one.flow if stream == "flow" else one.rgb for one in batch])
    return torch.from_numpy(values).permute(0, 4, 1, 2, 3)


def network_input(batch: Sequence[Frames], stream: str) -> torch.Tensor:
    """Return one stream of a batch as float32 (B, C, F, h, w) in [-1, 1], contiguous."""
    values = clips(batch, stream)
    return (values.float().mul_(2 / 255).sub_(1) if stream == "rgb" else values).contiguous()
