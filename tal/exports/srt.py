"""SubRip subtitles: numbered cues that do not overlap, one detection per line.

The format has no escapes: the brackets and braces that players take for markup are written with look-alikes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tal.exports._base import ExportOptions, Layout, Video
from tal.exports._cues import clock, cues
from tal.exports._text import one_line, score_text

LAYOUT = Layout("SubRip subtitles, for any player", ".srt", per_video=True)
_PLAIN = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})


def pieces(videos: Iterable[Video], options: ExportOptions) -> Iterator[str]:
    """Yield one cue after the other."""
    for video in videos:
        lines = [f"{one_line(d.label).translate(_PLAIN)} {score_text(d.score)}" for d in video.detections]
        for number, cue in enumerate(cues(video.detections), start=1):
            shown = "\n".join(lines[index] for index in cue.shown)
            yield f"{number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{shown}\n\n"
