"""WebVTT subtitles (W3C): cues that do not overlap, one detection per line, at the top of the picture.

A cue's identifier names the detections it shows (``4: d2 d7``), so that what was cut into several cues is put together
again when the file is read. In files of others each line of a cue is an instance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape, unescape
from pathlib import Path

from tal.annotations import Instance, VideoTruth
from tal.exports._base import ExportOptions, Layout, ReadOptions, Video
from tal.exports._cues import clock, cues
from tal.exports._text import one_line, score_text
from tal.parsing import Place, interval, read_text, shown
from tal.types import Segment

LAYOUT = Layout("WebVTT subtitles, for browsers and players", ".vtt", per_video=True)
SETTINGS = "line:0 position:0% align:start"
_TIME = r"(?:(\d{2,9}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMING = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?")
_LABEL = re.compile(r"<c\.label>(.*?)</c>")
_OURS = re.compile(r"\d+:((?: d\d+)+)")


def pieces(videos: Iterable[Video], options: ExportOptions) -> Iterator[str]:
    """Yield the header, then one cue after the other."""
    for video in videos:
        yield "WEBVTT\n\n"
        lines = [f"<c.label>{_safe(d.label)}</c> {score_text(d.score)}" for d in video.detections]
        for number, cue in enumerate(cues(video.detections), start=1):
            times = f"{clock(cue.start_ms, '.')} --> {clock(cue.end_ms, '.')} {SETTINGS}"
            names = " ".join(f"d{index + 1}" for index in cue.shown)
            yield "\n".join((f"{number}: {names}", times, *(lines[index] for index in cue.shown), "\n"))


def _safe(label: str) -> str:
    return escape(one_line(label), quote=False)


def read(path: Path, options: ReadOptions) -> Iterator[tuple[str, VideoTruth]]:
    """Yield the ground truth of the video that the file is named after.

    Raises:
        AnnotationError: If it is not WebVTT, or a cue has no proper times.
    """
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    head, *blocks = re.split(r"\n{2,}", text.strip("\n"))
    if not re.match(r"WEBVTT(?:[ \t\n]|$)", head):
        raise Place(path).error("not WebVTT, it does not begin with WEBVTT", "check which format it is: --from")
    found: list[Instance] = []
    parts: dict[str, list[Instance]] = {}
    for number, block in enumerate(blocks, start=1):
        for name, instance in _cue(block.split("\n"), Place(path, f"block {number}")):
            (parts.setdefault(name, []) if name else found).append(instance)
    found += [_joined(pieces) for pieces in parts.values()]
    yield path.stem, VideoTruth(None, "", tuple(sorted(found, key=lambda i: (i.segment.start_s, i.segment.end_s))))


def _cue(lines: list[str], place: Place) -> Iterator[tuple[str, Instance]]:
    """Yield the instances of a block, with the names of the detections where it is our own."""
    if not any("-->" in line for line in lines[:2]):
        return  # NOTE, STYLE or REGION
    at = 0 if "-->" in lines[0] else 1
    segment = _segment(lines[at], place)
    texts = [text for line in lines[at + 1 :] if (text := _plain(line))]
    ours = _OURS.fullmatch(lines[0]) if at else None
    names = ours[1].split() if ours else [""] * len(texts)
    for name, text in zip(names, texts, strict=False):
        yield name, Instance(text, segment)


def _segment(line: str, place: Place) -> Segment:
    match = _TIMING.fullmatch(line.strip())
    if match is None:
        raise place.error(f"not the times of a cue: {shown(line)}", "write 00:00:01.000 --> 00:00:02.500")
    times = [
        3600 * int(hours or 0) + 60 * int(minutes) + int(seconds) + int(milli) / 1000
        for hours, minutes, seconds, milli in (match.groups()[:4], match.groups()[4:])
    ]
    return interval(times[0], times[1], place)


def _plain(line: str) -> str:
    """Return the label of a line: what is marked as one, else all of it without markup."""
    marked = _LABEL.search(line)
    return unescape(re.sub(r"<[^>]*>", "", marked[1] if marked else line)).strip()


def _joined(pieces: list[Instance]) -> Instance:
    start_s = min(piece.segment.start_s for piece in pieces)
    return Instance(pieces[0].label, Segment(start_s, max(piece.segment.end_s for piece in pieces)))
