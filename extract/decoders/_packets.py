"""From a file's packets to frames, going on behind damage and remembering where there was some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any

from extract.decoders._base import Tally

MAX_READ_FAILURES = 100
"""Failed reads in a row after which the rest of a container is given up."""
INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "avi"}
"""Formats whose index lists every frame."""
HEADED = {"matroska,webm", "flv", "asf", "mov,mp4,m4a,3gp,3g2,mj2"}
"""Formats whose header says how long they are; of others FFmpeg guesses it from the bit rate."""
CLAIM_SLACK_S = Fraction(1, 2)
"""Headers round, and count what encoders put around the sound; a claim that is so little too long is none."""
MICROSECOND = Fraction(1, 1_000_000)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame as FFmpeg gives it.

    Attributes:
        frame: The frame.
        after_loss: Whether data between the frame before and this one was lost.
    """

    frame: Any
    after_loss: bool


@dataclass(slots=True)
class Reader:
    """One pass over an opened file.

    Attributes:
        container: The opened file.
        stream: Its video stream, whose decoder is set up.
        tally: Counts, kept up to date.
        troubled: Whether there was any sign of damage so far.
    """

    container: Any
    stream: Any
    tally: Tally
    troubled: bool = False
    _lost: bool = False
    _n_packets: int = 0
    _n_due: int = 0  # packets that should give a frame
    _last_dts: int | None = None
    _n_indexed: int = 0
    _waiting: list[int] = field(default_factory=list)  # timestamps of packets whose frame has not come yet
    _ends: dict[int, int] = field(default_factory=dict)  # stream -> end of its last packet, ticks of the stream
    _ticks_s: dict[int, Fraction] = field(default_factory=dict)  # stream -> its tick, seconds
    _shown_to: int | None = None  # end of the last frame, ticks
    _last_pts: int | None = None
    _ordered: bool = True

    def frames(self) -> Iterator[Decoded]:
        """Yield the frames; a packet that fails is counted and passed over."""
        import av

        self._n_indexed = len(self.stream.index_entries)
        self._ordered = self.container.format.name != "avi"
        for packet in self._packets():
            try:
                # None drains the decoder; an empty packet would do so in mid-stream and end it.
                frames = self.stream.codec_context.decode(packet)
            except MemoryError:  # no fault of the file
                raise
            except av.error.FFmpegError:
                self._fail()
                continue
            for frame in frames:
                if self._late(frame):
                    self._lost = True
                    continue
                self.tally.n_decoded += 1
                yield self._received(frame)
        # Several threads swallow errors while they are drained, and frames with them.
        self.troubled |= self.tally.n_decoded != self._n_due
        self.tally.missing_s = self._missing_s()

    def _packets(self) -> Iterator[Any]:
        """Yield the stream's packets that hold data, then None; reading goes on behind damage."""
        import av

        failures = 0
        while failures < MAX_READ_FAILURES:
            try:
                for packet in self.container.demux():
                    failures = 0
                    if packet.size:
                        yield from self._noted(packet)
                break
            except IndexError:  # PyAV, at the end, where streams began behind the header
                break
            except MemoryError:
                raise
            except av.error.FFmpegError:
                failures += 1
                self._fail()
        yield None

    def _noted(self, packet: Any) -> Iterator[Any]:
        """Remember what a packet promises, and pass it on if it is the video's."""
        if packet.pts is not None and packet.time_base:
            self._note_end(packet.stream_index, packet.pts + (packet.duration or 0), packet)
        if packet.stream_index != self.stream.index:
            return
        self._n_packets += 1
        self._n_due += not packet.is_discard
        self.troubled |= packet.is_discard  # damage in hidden frames shows in those that follow, and raises nothing
        self._last_dts = packet.pts if packet.dts is None else packet.dts
        if packet.is_corrupt:
            self._lost = self.troubled = True
        if packet.pts is not None and not packet.is_discard and self._ordered:
            heappush(self._waiting, packet.pts)
        yield packet

    def _note_end(self, index: int, end: int, packet: Any) -> None:
        if end > self._ends.get(index, end - 1):
            self._ends[index] = end
        if index not in self._ticks_s:
            self._ticks_s[index] = packet.time_base

    def _end_s(self, index: int) -> Fraction:
        """Return when a stream's last packet ends, seconds."""
        return self._ends[index] * self._ticks_s[index]

    def _fail(self) -> None:
        self.tally.n_bad_packets += 1
        self._lost = self.troubled = True

    def _received(self, frame: Any) -> Decoded:
        """Return a frame with what is known of the data before it."""
        lost, self._lost = self._lost, False
        self.troubled |= frame.is_corrupt
        if frame.pts is None:
            return Decoded(frame, lost)
        lost |= self._overdue(frame.pts)
        self.troubled |= lost
        self._shown_to = frame.pts + (frame.duration or 0)
        return Decoded(frame, lost)

    def _late(self, frame: Any) -> bool:
        """Return whether damage held a frame back until later ones had been shown.

        Where the file's clock has begun again, the packets that are being read have gone back as well.
        """
        if not self.troubled or self.container.format.name == "avi":
            return False
        if frame.pts is None or self._last_pts is None or self._last_dts is None or frame.pts >= self._last_pts:
            return False
        return bool(2 * self._last_dts > self._last_pts + frame.pts)

    def _overdue(self, pts: int) -> bool:
        """Return whether packets that were due before this frame gave none; forget them and the frame's own."""
        if self._last_pts is not None and pts < self._last_pts:  # an old AVI, whose timestamps prove nothing
            self._ordered = False
            self._waiting.clear()
        self._last_pts = pts
        overdue = False
        while self._waiting and self._waiting[0] <= pts:
            overdue |= heappop(self._waiting) < pts
        return overdue

    def _missing_s(self) -> Fraction:
        """Return the time that the file claims behind its last frame and does not hold, seconds."""
        return max(self._undecoded_s() + self._unread_s(), self._unclaimed_s())

    def _undecoded_s(self) -> Fraction:
        """Return how far the last packets reach beyond the last frame."""
        index = self.stream.index
        if index not in self._ends or self._shown_to is None or not (self._lost or self._waiting):
            return Fraction(0)
        return max(Fraction(0), self._end_s(index) - self._shown_to * Fraction(self.stream.time_base))

    def _unread_s(self) -> Fraction:
        """Return how long the packets last that the index lists and the file does not hold."""
        if self.container.format.name not in INDEXED:
            return Fraction(0)
        listed = len(self.stream.index_entries)
        if self.container.format.name == "avi" and listed != self._n_indexed:  # the index is lost: it grew with reading
            listed = self.stream.frames
        return max(0, listed - self._n_packets) / Fraction(self.stream.average_rate or 25)

    def _unclaimed_s(self) -> Fraction:
        """Return how far the claimed end lies behind everything that was read, other streams included."""
        container = self.container
        if container.format.name not in HEADED or not container.duration or not self._ends:
            return Fraction(0)
        claimed_s = container.duration * MICROSECOND  # counted from the clock's zero, wherever the pictures begin
        if container.format.name == "asf" and container.start_time:  # whose header counts from the first packet
            claimed_s += container.start_time * MICROSECOND
        # Damage makes streams up, and times that nobody claimed prove nothing.
        ends_s = {index: self._end_s(index) for index in self._ends}
        read_s = max((end_s for end_s in ends_s.values() if end_s <= claimed_s + CLAIM_SLACK_S), default=Fraction(0))
        over_s = Fraction(claimed_s) - max(read_s, ends_s.get(self.stream.index, read_s))
        return over_s if over_s > CLAIM_SLACK_S else Fraction(0)
