"""Videos -> features: both streams in one pass over many videos, forward only.

Decoding, flow and the networks overlap (`extract.stream`); on a CPU flow and networks take turns. Snippets of several
videos share the networks' batches, so that short videos fill them too. What else is in a batch changes a feature by
rounding at most, on the CPU not at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from extract import flow as flow_engines
from extract.flow._base import FlowBackend
from extract.rows import Rows
from extract.snippets import Frames, clips, crop, network_input, views
from extract.stopwatch import NETWORK, Stopwatch, add
from extract.stream import Passing, Request, snippet_stream
from tal.devices import pick_device
from tal.errors import TalError, WeightsError
from tal.settings import ExtractSettings, RuntimeSettings
from tal.types import Features, FloatArray

if TYPE_CHECKING:
    import torch

    from extract.i3d import I3D

__all__ = [
    "Embedder",
    "Extractor",
    "Frames",
    "Request",
    "crop",
    "embed",
    "network_input",
    "open_flow",
    "sample_clips",
]
OnSnippets = Callable[[int], None]
_NOT_FINITE = "the features are not finite: these weights do not fit this input; fetch them again"


class Embedder(Protocol):
    """Turns clips into feature vectors."""

    def embed(self, clips: torch.Tensor) -> Any:
        """Map clips (B, C, F, h, w) on the CPU, float32 in [-1, 1] or uint8 RGB, to float32 (B, 1024).

        Raises:
            TalError: If these clips cannot be embedded.
        """


class Extractor:
    """Engines that are opened once and serve many videos.

    Args:
        settings: What to extract; `decoder` and `flow.backend` name what is really used.
        runtime: Device, threads, batch size.
        networks: Stream name to what computes its vectors.
        provenance: What goes into each shard beside the video's own entries.

    Attributes:
        watch: How long decoding, flow and the networks have worked.
    """

    def __init__(
        self,
        settings: ExtractSettings,
        runtime: RuntimeSettings,
        networks: Mapping[str, Embedder],
        provenance: Mapping[str, Any],
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self._networks = networks
        self._provenance = provenance
        self._flow = open_flow(settings, runtime)
        self.watch = Stopwatch(take_turns=pick_device(runtime.device).type == "cpu")

    @property
    def notes(self) -> list[str]:
        """What the engines have to say, one line each."""
        engines = (self._flow, *self._networks.values())
        return list(dict.fromkeys(note for engine in engines for note in getattr(engine, "notes", ())))

    def close(self) -> None:
        """Release the flow engine's threads."""
        if self._flow is not None:
            self._flow.close()

    def extract(self, path: Path, about: Mapping[str, Any], on_snippets: OnSnippets = lambda n: None) -> Features:
        """Return one video's features; `run` says more.

        Raises:
            VideoError: If the video cannot be decoded.
        """
        ((_, found),) = self.run([Request(path, about)], on_snippets)
        if isinstance(found, TalError):
            raise found
        return found

    def run(
        self, requests: Iterable[Request], on_snippets: OnSnippets = lambda n: None
    ) -> Generator[tuple[Request, Features | TalError], None, None]:
        """Yield each video's features, or why there are none, as soon as its last snippet is embedded.

        Args:
            requests: The videos; asked for on a thread of its own, a bounded number ahead of what is yielded.
            on_snippets: Called with the number of snippets of each finished batch.

        Yields:
            The videos in the order of the requests. A video that fails does not change the features of others.

        Raises:
            StorageError: If `requests` raises it.
        """
        size, batch = self._runtime.batch, list[tuple[Passing, Frames]]()
        ended: deque[Passing] = deque()
        with closing(snippet_stream(requests, self._settings, self._flow, size, self.watch)) as stream:
            for video, item in stream:
                if not isinstance(item, Frames):
                    video.error = video.error or item
                    ended.append(video)
                elif video.error is None:
                    if batch and batch[0][1].rgb.shape != item.rgb.shape:  # pictures of another shape, uncropped
                        self._embed(batch, on_snippets)
                        batch = []
                    batch.append((video, item))
                if len(batch) == size:
                    self._embed(batch, on_snippets)
                    batch = []
                yield from self._finished(ended, batch)
            if batch:
                self._embed(batch, on_snippets)
            yield from self._finished(ended, [])

    def _finished(
        self, ended: deque[Passing], batch: list[tuple[Passing, Frames]]
    ) -> Generator[tuple[Request, Features | TalError], None, None]:
        """Take videos off `ended`, in order, as long as no snippet of theirs waits in the batch."""
        waiting = {video for video, _ in batch}
        while ended and (ended[0].error is not None or ended[0] not in waiting):
            video = ended.popleft()
            yield video.request, video.error or video.features(self._settings, self._provenance)

    def _embed(self, batch: list[tuple[Passing, Frames]], on_snippets: OnSnippets) -> None:
        """Give each video of a batch its vectors; where that fails, find the videos that are to blame."""
        try:
            self._add_vectors(batch)
        except TalError as error:
            videos = dict.fromkeys(video for video, _ in batch)
            if len(videos) == 1:
                batch[0][0].fail(error)
            else:
                for video in videos:
                    self._embed([pair for pair in batch if pair[0] is video], lambda n: None)
        on_snippets(len(batch))

    def _add_vectors(self, batch: list[tuple[Passing, Frames]]) -> None:
        before = dict(self.watch.seconds)
        rows = {stream: self._rows(stream, [frames for _, frames in batch]) for stream in self._settings.streams}
        for i, (video, frames) in enumerate(batch):
            for stage in map(NETWORK.__getitem__, rows):
                add(video.request.seconds, stage, (self.watch.seconds[stage] - before[stage]) / len(batch))
            video.motion.append(float(frames.motion.mean()))
            for stream, vectors in rows.items():
                video.vectors.setdefault(stream, Rows()).append(vectors[i])

    def _rows(self, stream: str, snippets: list[Frames]) -> FloatArray:
        """Return a vector for each snippet, the mean over its views."""
        looks = zip(*(views(one, self._settings) for one in snippets), strict=True)
        with self.watch.in_turn(NETWORK[stream]):
            found = [np.asarray(self._networks[stream].embed(clips(look, stream)), np.float32) for look in looks]
            return np.asarray(np.mean(found, axis=0), np.float32) if len(found) > 1 else found[0]


def open_flow(settings: ExtractSettings, runtime: RuntimeSettings) -> FlowBackend | None:
    """Return the flow engine, or None where no flow is computed."""
    if "flow" not in settings.streams or settings.reads_flow:
        return None
    device, flow = str(pick_device(runtime.device)), settings.flow
    return flow_engines.load(flow.backend, runtime.workers, device, flow.quality)


def embed(network: I3D, clips: torch.Tensor) -> FloatArray:
    """Return the features of a batch of clips, float32 (B, 1024).

    Raises:
        WeightsError: If they are not finite.
    """
    import torch

    with torch.inference_mode():
        device = next(network.parameters()).device
        vectors: FloatArray = network.embed(clips.to(device)).float().cpu().numpy()
    if not np.isfinite(vectors).all():
        raise WeightsError(_NOT_FINITE)
    return vectors


def sample_clips(path: Path, settings: ExtractSettings, engine: FlowBackend | None, n: int) -> list[Frames]:
    """Return the first `n` snippets of a video, to calibrate random weights on.

    Raises:
        VideoError: If the video cannot be decoded.
    """
    found: list[Frames] = []
    with closing(snippet_stream([Request(path)], settings, engine, depth=1)) as stream:
        for _, item in stream:
            if isinstance(item, TalError):
                raise item
            if item is not None:
                found.append(views(item, settings)[0])
            if len(found) == n:
                break
    return found
