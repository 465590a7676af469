"""Video -> features: both streams in one pass, forward only, in memory that does not grow with the video.

Frames come resampled and scaled. Flow is computed between neighbouring scaled frames, before cropping; the flow of a
frame is the motion from it to the next one, and the last frame repeats the flow before it. Snippet i covers the frames
[i * stride, i * stride + length). A video shorter than one snippet is filled up with its last frame.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extract import flow as flow_engines
from extract.flow._base import FlowBackend
from extract.flow.presets import apply, preset
from extract.prefetch import prefetch
from extract.video import ResampledVideo, open_video
from tal.devices import pick_device
from tal.errors import WeightsError
from tal.settings import ExtractSettings, RuntimeSettings
from tal.types import ByteArray, Features, FloatArray, SnippetGrid

if TYPE_CHECKING:
    import torch

    from extract.i3d import I3D

BLOCK = 32  # frames whose flow is computed together
OnSnippets = Callable[[int], None]


@dataclass(frozen=True)
class Frames:
    """Consecutive prepared frames: what the two networks read, and the motion of each frame.

    Attributes:
        rgb: Cropped frames, uint8 (F, h, w, 3).
        flow: Cropped network input in [-1, 1], float32 (F, h, w, 2); no columns when the flow stream is off.
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


FrameStream = Generator[Frames, None, None]


class Extractor:
    """Engines that are opened once and serve many videos.

    Args:
        settings: What to extract; `decoder` and `flow.backend` name what is really used.
        runtime: Device, threads, batch size.
        networks: Stream name to I3D in evaluation mode, on the device.
        provenance: What goes into each shard beside the video's own entries.
    """

    def __init__(
        self,
        settings: ExtractSettings,
        runtime: RuntimeSettings,
        networks: Mapping[str, I3D],
        provenance: Mapping[str, Any],
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self._networks = networks
        self._provenance = provenance
        self._flow = open_flow(settings, runtime)

    @property
    def notes(self) -> list[str]:
        """What the flow engine has to say, one line each."""
        return list(getattr(self._flow, "notes", ()))

    def close(self) -> None:
        """Release the flow engine's threads."""
        if self._flow is not None:
            self._flow.close()

    def extract(self, path: Path, video: Mapping[str, Any], on_snippets: OnSnippets = lambda n: None) -> Features:
        """Return one video's features.

        Args:
            path: The video.
            video: Provenance of this video, such as its digest.
            on_snippets: Called with the number of snippets of each finished batch.

        Raises:
            VideoError: If the video cannot be decoded.
        """
        opened = opened_video(path, self._settings)
        vectors: dict[str, list[FloatArray]] = {stream: [] for stream in self._settings.streams}
        motion: list[FloatArray] = []
        for batch in batched(snippets(opened, self._settings, self._flow), self._runtime.batch):
            for stream, rows in vectors.items():
                rows.append(embed(self._networks[stream], network_input(batch, stream)))
            motion.append(np.array([one.motion.mean() for one in batch], np.float32))
            on_snippets(len(batch))
        return self._features(opened, vectors, motion, video)

    def _features(
        self,
        opened: ResampledVideo,
        vectors: Mapping[str, list[FloatArray]],
        motion: list[FloatArray],
        video: Mapping[str, Any],
    ) -> Features:
        s = self._settings
        n = sum(len(part) for part in motion)
        return Features(
            {stream: np.concatenate(parts) for stream, parts in vectors.items()},
            SnippetGrid(n, s.fps, s.length, s.stride, opened.offset),
            opened.report.end_s,
            np.concatenate(motion) if self._flow is not None else None,
            {**self._provenance, "video": {**video, "decode": asdict(opened.report)}},
        )


def opened_video(path: Path, settings: ExtractSettings) -> ResampledVideo:
    """Open a video, to be read as the settings say."""
    return open_video(path, settings.fps, settings.short_side, settings.decoder, settings.max_gap_s)


def open_flow(settings: ExtractSettings, runtime: RuntimeSettings) -> FlowBackend | None:
    """Return the flow engine, or None where the flow stream is off."""
    if "flow" not in settings.streams:
        return None
    device, flow = str(pick_device(runtime.device)), settings.flow
    return flow_engines.load(flow.backend, runtime.workers, device, flow.quality)


def snippets(
    opened: ResampledVideo, settings: ExtractSettings, engine: FlowBackend | None
) -> Generator[Frames, None, None]:
    """Yield the snippets of an opened video, each of `settings.length` frames, in order."""
    with closing(prefetch(iter(opened), BLOCK)) as frames:
        yield from windows(prepared(frames, settings, engine), settings)


def prepared(frames: Iterable[ByteArray], settings: ExtractSettings, engine: FlowBackend | None) -> Iterator[Frames]:
    """Turn scaled frames into blocks of network-ready frames, each with the flow to its successor."""
    convention = preset(settings.flow.preset)
    stream, last_flow = iter(frames), None
    held = list(islice(stream, 1))
    while held:
        more = list(islice(stream, BLOCK))
        rgb = np.stack(held + more)
        flow = _flow(engine, rgb)
        if more:
            last_flow, held, rgb = flow[-1:], more[-1:], rgb[:-1]
        else:  # the last frame of the video: repeat the flow that leads to it
            flow, held = np.zeros((1, *rgb.shape[1:3], 2), np.float32) if last_flow is None else last_flow, []
        motion = flow_engines.motion_px(flow)
        yield Frames(crop(rgb, settings.crop), apply(crop(flow, settings.crop), convention), motion)


def _flow(engine: FlowBackend | None, rgb: ByteArray) -> FloatArray:
    if engine is None:
        return np.zeros((len(rgb) - 1, *rgb.shape[1:3], 2), np.float32)
    return engine.pairs(flow_engines.to_gray(rgb))


def crop(frames: Any, side: int) -> Any:
    """Return the centre crop of (F, H, W, channels), or all of it for side 0."""
    if not side:
        return frames
    top, left = (frames.shape[1] - side) // 2, (frames.shape[2] - side) // 2
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


def network_input(batch: list[Frames], stream: str) -> torch.Tensor:
    """Return one stream of a batch as float32 (B, C, F, h, w) in [-1, 1]."""
    import torch

    if stream == "flow":
        values = torch.from_numpy(np.stack([one.flow for one in batch]))
    else:
        values = torch.from_numpy(np.stack([one.rgb for one in batch])).float().mul_(2 / 255).sub_(1)
    return values.permute(0, 4, 1, 2, 3).contiguous()


def embed(network: I3D, clips: torch.Tensor) -> FloatArray:
    """Return the features of a batch of clips, float32 (B, 1024)."""
    import torch

    with torch.inference_mode():
        device = next(network.parameters()).device
        vectors: FloatArray = network.embed(clips.to(device)).float().cpu().numpy()
    if not np.isfinite(vectors).all():
        raise WeightsError("the features are not finite: these weights do not fit this input; fetch them again")
    return vectors


def batched(items: Iterator[Frames], size: int) -> Iterator[list[Frames]]:
    """Group items into lists of up to `size`."""
    while batch := list(islice(items, size)):
        yield batch


def sample_clips(path: Path, settings: ExtractSettings, engine: FlowBackend | None, n: int) -> list[Frames]:
    """Return the first `n` snippets of a video, to calibrate random weights on."""
    opened = opened_video(path, settings)
    with closing(snippets(opened, settings, engine)) as some:
        return list(islice(some, n))
