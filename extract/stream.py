"""Many videos -> one stream of snippets, each stage on a thread of its own, a bounded number of items ahead.

Decoding runs ahead on one thread and opens the next video when the one before is read; flow and conversion run ahead on
another. A video ends in the stream with None, or with the error that ended it; either way the next one follows. Each
video in flight has at least one item in a queue, so that their number is bounded as well.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from extract.flow._base import FlowBackend
from extract.flow_images import Computed, PairSource, Stored, of_video
from extract.prefetch import prefetch
from extract.rows import Rows
from extract.snippets import Frames, block_of, prepared, windows
from extract.stopwatch import DECODE, FLOW, Stopwatch, counted
from extract.video import ResampledVideo, open_video
from tal.errors import StorageError, TalError
from tal.settings import ExtractSettings
from tal.types import ByteArray, Features, SnippetGrid


@dataclass(frozen=True)
class Request:
    """A video whose features are wanted.

    Attributes:
        path: The video.
        about: What its provenance says beside how it was decoded, such as its digest.
        save_flow: Folder into which its flow is written as images while it is computed; gone if the video breaks off.
        seconds: Stage to how long it has worked on this video so far; filled while the video passes.
    """

    path: Path
    about: Mapping[str, Any] = field(default_factory=dict)
    save_flow: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict, compare=False)


@dataclass(eq=False)
class Passing:
    """A video in flight: what is known of it so far.

    Attributes:
        request: The video.
        vectors: Stream to the feature vectors (1024,) of its snippets so far.
        motion: Mean flow magnitude of each snippet, px per frame.
        error: Why there will be no features.
        stopped: No more of its frames are wanted.
    """

    request: Request
    vectors: dict[str, Rows] = field(default_factory=dict)
    motion: list[float] = field(default_factory=list)
    error: TalError | None = None
    stopped: bool = False
    _opened: ResampledVideo | None = None

    def fail(self, error: TalError) -> None:
        """Give the video up."""
        self.error, self.stopped = self.error or error, True

    def frames(self, settings: ExtractSettings) -> Iterator[ByteArray]:
        """Open the video and yield its frames."""
        s = settings
        self._opened = open_video(self.request.path, s.fps, s.short_side, s.decoder, s.max_gap_s, s.size)
        for frame in self._opened:
            if self.stopped:
                return
            yield frame

    def features(self, settings: ExtractSettings, provenance: Mapping[str, Any]) -> Features:
        """Put the features together once the last snippet is there."""
        if self._opened is None:
            raise ValueError(f"{self.request.path} was not opened")
        s, report = settings, self._opened.report
        return Features(
            {stream: rows.array() for stream, rows in self.vectors.items()},
            SnippetGrid(len(self.motion), s.fps, s.length, s.stride, self._opened.offset),
            report.end_s,
            np.array(self.motion, np.float32) if "flow" in s.streams else None,
            {**provenance, "video": {**self.request.about, "decode": asdict(report)}},
        )


Snippets = Generator[tuple[Passing, Frames | TalError | None], None, None]


def snippet_stream(
    requests: Iterable[Request],
    settings: ExtractSettings,
    engine: FlowBackend | None,
    depth: int,
    watch: Stopwatch | None = None,
) -> Snippets:
    """Yield the snippets of one video after the other, each video followed by None or by its error.

    Args:
        requests: The videos; asked for on the decoding thread, when the one before has been read.
        settings: How they are read.
        engine: The flow engine, used on a thread of this stream alone; None where no flow is computed.
        depth: Items that are made ahead.
        watch: Is told how long decoding and flow work.
    """
    return prefetch(_cut(requests, settings, engine, watch or Stopwatch()), depth)


def _cut(
    requests: Iterable[Request], settings: ExtractSettings, engine: FlowBackend | None, watch: Stopwatch
) -> Snippets:
    with closing(prefetch(watch.timed(_decoded(requests, settings), DECODE), block_of(engine))) as frames:
        for video, own in groupby(frames, key=itemgetter(0)):
            own_frames = _until_end(item for _, item in own)
            try:
                with _flow_of(video, settings, engine) as source:
                    turn = partial(watch.in_turn, FLOW, video.request.seconds)
                    blocks = prepared(own_frames, settings, source, turn)
                    for snippet in windows(blocks, settings):
                        yield video, snippet
                yield video, None
            except StorageError:
                raise
            except TalError as error:
                video.stopped = True
                yield video, error


@contextmanager
def _flow_of(video: Passing, settings: ExtractSettings, engine: FlowBackend | None) -> Iterator[PairSource | None]:
    """Open what gives a video's flow, and tell it how the video ended."""
    source: PairSource | None = None
    if settings.reads_flow:
        source = Stored(of_video(Path(settings.flow_images), video.request.path))
    elif engine is not None:
        source = Computed(engine, video.request.save_flow)
    well = False
    try:
        yield source
        well = not video.stopped
    finally:
        if source is not None:
            source.end(well)


def _decoded(
    requests: Iterable[Request], settings: ExtractSettings
) -> Iterator[tuple[Passing, ByteArray | TalError | None]]:
    for request in requests:
        video = Passing(request)
        try:
            for frame in counted(video.frames(settings), DECODE, request.seconds):
                yield video, frame
            yield video, None
        except StorageError:
            raise
        except TalError as error:
            yield video, error


def _until_end(items: Iterable[ByteArray | TalError | None]) -> Iterator[ByteArray]:
    """Yield frames up to None; raise the error that comes in place of one."""
    for item in items:
        if isinstance(item, TalError):
            raise item
        if item is None:
            return
        yield item
