"""ELAN annotation files (EAF 3.0, XML): one tier per class, the score as the annotation's text.

Annotations of a tier must not overlap, so a class whose detections do has several tiers; each names its class in
PARTICIPANT. When a file is read, a tier of the type `OURS` gives its participant as the label; of other tiers the
annotation's text is the label, or the tier's name where all texts are empty or numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from pathlib import Path
from xml.etree import ElementTree as ET

from tal.annotations import Instance, VideoTruth
from tal.exports._base import ExportOptions, Layout, ReadOptions, Video
from tal.exports._media import mime_type, name_in
from tal.exports._text import one_line, score_text, span_ms
from tal.exports._xml import add, parse, text_of
from tal.parsing import Place, interval
from tal.types import Detection, Segment

LAYOUT = Layout("ELAN, a tier per class", ".eaf", per_video=True)
OURS = "tal-detections"
NAME = "tal:video"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_DATE = "2000-01-01T00:00:00+00:00"
"""ELAN wants a date; a fixed one makes equal detections give equal files."""
_CONSTRAINTS = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps allowed",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation, in order",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
}


def pieces(videos: Iterable[Video], options: ExportOptions) -> Iterator[str]:
    """Yield the document of each video."""
    for video in videos:
        yield text_of(_document(video))


def _document(video: Video) -> ET.Element:
    root = ET.Element("ANNOTATION_DOCUMENT", {"AUTHOR": "tal", "DATE": _DATE, "FORMAT": "3.0", "VERSION": "3.0"})
    root.set("xmlns:xsi", _INSTANCE)
    root.set("xsi:noNamespaceSchemaLocation", _SCHEMA)
    header = add(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    url = f"file://{video.media.path.resolve().as_posix()}" if video.media.path else f"file:///{video.file}"
    add(
        header, "MEDIA_DESCRIPTOR", MEDIA_URL=url, MIME_TYPE=mime_type(video.file), RELATIVE_MEDIA_URL=f"./{video.file}"
    )
    add(header, "PROPERTY", one_line(video.name), NAME=NAME)
    add(header, "PROPERTY", str(len(video.detections)), NAME="lastUsedAnnotationId")
    slots = _add_slots(add(root, "TIME_ORDER"), video.detections)
    _add_tiers(root, video.detections, slots)
    add(root, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID=OURS, TIME_ALIGNABLE="true")
    for stereotype, about in _CONSTRAINTS.items():
        add(root, "CONSTRAINT", DESCRIPTION=about, STEREOTYPE=stereotype)
    return root


def _add_slots(order: ET.Element, detections: Iterable[Detection]) -> list[tuple[str, str]]:
    """Add two slots of their own for each detection, by time; return their names."""
    ends = sorted((ms, i, which) for i, d in enumerate(detections) for which, ms in enumerate(span_ms(d.segment)))
    names: dict[tuple[int, int], str] = {}
    for number, (ms, i, which) in enumerate(ends, start=1):
        names[i, which] = f"ts{number}"
        add(order, "TIME_SLOT", TIME_SLOT_ID=f"ts{number}", TIME_VALUE=str(ms))
    return [(names[i, 0], names[i, 1]) for i in range(len(ends) // 2)]


def _add_tiers(root: ET.Element, detections: Iterable[Detection], slots: list[tuple[str, str]]) -> None:
    """Put each detection into the tier of its class that is free the longest, or into a new one."""
    tiers: dict[str, list[ET.Element]] = {}
    busy: dict[str, list[tuple[int, int]]] = {}  # label -> heap of (end of a tier's last annotation, its index)
    taken: set[str] = set()
    for i, detection in enumerate(detections):
        label, (start, end) = one_line(detection.label), span_ms(detection.segment)
        own, ends = tiers.setdefault(label, []), busy.setdefault(label, [])
        if ends and ends[0][0] <= start:
            _, at = heappop(ends)
        else:
            at = len(own)
            names = {"LINGUISTIC_TYPE_REF": OURS, "PARTICIPANT": label, "TIER_ID": _unused(label, at + 1, taken)}
            own.append(ET.Element("TIER", names))
        heappush(ends, (end, at))
        _add_annotation(own[at], f"a{i + 1}", slots[i], score_text(detection.score))
    for label in sorted(tiers):
        root.extend(tiers[label])


def _add_annotation(tier: ET.Element, name: str, slots: tuple[str, str], text: str) -> None:
    aligned = {"ANNOTATION_ID": name, "TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]}
    add(add(add(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", **aligned), "ANNOTATION_VALUE", text)


def _unused(label: str, number: int, taken: set[str]) -> str:
    """Return a name for a class's tier that no other tier has, and take it."""
    name = label if number == 1 else f"{label} ({number})"
    while name in taken:
        number += 1
        name = f"{label} ({number})"
    taken.add(name)
    return name


def read(path: Path, options: ReadOptions) -> Iterator[tuple[str, VideoTruth]]:
    """Yield the ground truth of the file's video: the one it names, else the one it is named after.

    Raises:
        AnnotationError: If it is not an EAF file, or an annotation has no time.
    """
    root, place = parse(path, "ANNOTATION_DOCUMENT"), Place(path)
    slots = {slot.get("TIME_SLOT_ID", ""): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    found = [instance for tier in root.iter("TIER") for instance in _instances(tier, slots, place)]
    own = next((p.text for p in root.iter("PROPERTY") if p.get("NAME") == NAME and p.text), None)
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    name = own or name_in("" if media is None else media.get("MEDIA_URL", "")) or path.stem
    yield name, VideoTruth(None, "", tuple(sorted(found, key=lambda i: (i.segment.start_s, i.segment.end_s))))


def _instances(tier: ET.Element, slots: dict[str, str | None], place: Place) -> Iterator[Instance]:
    aligned = [(a, (a.findtext("ANNOTATION_VALUE") or "").strip()) for a in tier.iter("ALIGNABLE_ANNOTATION")]
    name, ours = tier.get("TIER_ID", ""), tier.get("LINGUISTIC_TYPE_REF") == OURS
    by_name = ours or all(_is_figure(text) for _, text in aligned)
    for annotation, text in aligned:
        label = (tier.get("PARTICIPANT", "") if ours else "") or name if by_name else text
        where = Place(place.path, f"tier '{name}', annotation {annotation.get('ANNOTATION_ID', '?')}")
        if not label.strip():
            raise where.error("neither it nor its tier has a text", "write the class")
        yield Instance(label.strip(), _segment(annotation, slots, where))


def _segment(annotation: ET.Element, slots: dict[str, str | None], where: Place) -> Segment:
    times = [slots.get(annotation.get(f"TIME_SLOT_REF{i}", "")) for i in (1, 2)]
    if not all(time and time.isascii() and time.isdigit() for time in times):
        raise where.error("one of its ends has no time", "align it in ELAN")
    return interval(int(times[0] or 0) / 1000, int(times[1] or 0) / 1000, where)


def _is_figure(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
