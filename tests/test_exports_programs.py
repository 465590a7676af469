"""Each program's own rules: what its schema asks for, counted and looked up in what is written."""

from __future__ import annotations

import itertools
import json
import re
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from exported import FPS, MEDIA, SHOTS, detections, text_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tal import exports
from tal.errors import InputError
from tal.exports import Media, Video
from tal.exports.edl import drops, timecode
from tal.types import Detection, Segment

NTSC = Fraction(30000, 1001)
quick = settings(max_examples=50, deadline=None)
text = {"type": "string", "minLength": 1}
seconds = {"type": "number", "minimum": 0}

LABEL_STUDIO = {  # https://labelstud.io/guide/predictions and /tags/timelinelabels
    "type": "array",
    "items": {
        "type": "object",
        "required": ["data", "predictions"],
        "properties": {
            "data": {"type": "object", "required": ["video", "fps"], "properties": {"video": text}},
            "predictions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["model_version", "score", "result"],
                    "properties": {
                        "result": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["id", "from_name", "to_name", "type", "value"],
                                "properties": {
                                    "type": {"const": "timelinelabels"},
                                    "value": {
                                        "type": "object",
                                        "required": ["ranges", "timelinelabels"],
                                        "properties": {
                                            "timelinelabels": {"type": "array", "items": text, "minItems": 1},
                                            "ranges": {
                                                "type": "array",
                                                "minItems": 1,
                                                "maxItems": 1,
                                                "items": {
                                                    "required": ["start", "end"],
                                                    "additionalProperties": {"type": "integer", "minimum": 1},
                                                },
                                            },
                                        },
                                    },
                                },
                            },
                        }
                    },
                },
            },
        },
    },
}
FIFTYONE = {  # FiftyOneTemporalDetectionDataset
    "type": "object",
    "required": ["classes", "labels"],
    "properties": {
        "classes": {"type": "array", "items": text, "uniqueItems": True},
        "labels": {
            "additionalProperties": {
                "type": "array",
                "items": {
                    "required": ["label", "timestamps"],
                    "properties": {
                        "label": {"type": "integer", "minimum": 0},
                        "timestamps": {"type": "array", "items": seconds, "minItems": 2, "maxItems": 2},
                        "confidence": {"type": "number"},
                    },
                    "additionalProperties": False,
                },
            }
        },
    },
}
VIA = {  # the data format 3.1.1 of VIA 3
    "type": "object",
    "required": ["project", "config", "attribute", "file", "metadata", "view"],
    "properties": {
        "project": {"required": ["pid", "rev", "rev_timestamp", "pname", "vid_list"]},
        "config": {"required": ["file", "ui"], "properties": {"file": {"required": ["loc_prefix"]}}},
        "attribute": {
            "additionalProperties": {
                "required": ["aname", "anchor_id", "type", "desc", "options", "default_option_id"],
                "properties": {"anchor_id": {"const": "FILE1_Z2_XY0"}, "type": {"enum": [1, 2, 3, 4, 5]}},
            }
        },
        "file": {
            "additionalProperties": {
                "required": ["fid", "fname", "type", "loc", "src"],
                "properties": {"type": {"const": 4}, "loc": {"enum": [1, 2, 3, 4]}},
            }
        },
        "metadata": {
            "additionalProperties": {
                "required": ["vid", "flg", "z", "xy", "av"],
                "properties": {"z": {"type": "array", "items": seconds, "minItems": 2}, "xy": {"maxItems": 0}},
            }
        },
        "view": {"additionalProperties": {"required": ["fid_list"]}},
    },
}


@quick
@given(found=detections())
@pytest.mark.parametrize(("name", "schema"), [("label-studio", LABEL_STUDIO), ("fiftyone", FIFTYONE), ("via", VIA)])
def test_json_is_as_the_program_documents_it(name: str, schema: dict, found: tuple[Detection, ...]) -> None:
    for videos in ((), (Video("v", found, MEDIA), Video("w", SHOTS, MEDIA))):
        jsonschema.validate(json.loads(text_of(name, *videos)), schema)


def test_label_studio_counts_from_one_and_includes_the_last() -> None:
    (task,) = json.loads(text_of("label-studio", Video("a b", SHOTS, MEDIA)))
    assert task["data"] == {"video": "/data/local-files/?d=a%20b.mp4", "fps": 25.0, "name": "a b"}
    first = task["predictions"][0]["result"][0]
    assert first["value"]["ranges"] == [{"start": 26, "end": 75}]  # frames 25 to 74 of 0, 1, 2, ...
    name, config = exports.load("label-studio", "export").setup(["Run", 'a"<'])
    view = ET.fromstring(config)
    assert name == "label-studio-config.xml"
    assert [label.get("value") for label in view.iter("Label")] == ["Run", 'a"<']
    video, control = view.find("Video"), view.find("TimelineLabels")
    assert video is not None and control is not None
    assert (first["from_name"], first["to_name"]) == (control.get("name"), control.get("toName"))
    assert (video.get("value"), video.get("frameRate")) == ("$video", "$fps")


def test_via_files_and_choices(tmp_path: Path) -> None:
    tree = json.loads(text_of("via", Video("v", SHOTS, Media(tmp_path / "v 1.avi")), Video("w", ())))
    assert tree["file"]["1"]["src"] == (tmp_path / "v 1.avi").as_uri() and tree["file"]["1"]["loc"] == 3
    assert (tree["file"]["2"]["fname"], tree["file"]["2"]["loc"]) == ("w.mp4", 1)
    assert tree["project"]["vid_list"] == list(tree["view"]) == list(tree["file"])
    choices = tree["attribute"]["1"]["options"]
    assert all(entry["av"]["1"] in choices and entry["vid"] in tree["view"] for entry in tree["metadata"].values())


@quick
@given(found=detections(most=12))
def test_elan_keeps_to_its_schema(found: tuple[Detection, ...]) -> None:
    root = ET.fromstring(text_of("elan", Video("v", found)))
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "CONSTRAINT"]  # a sequence in EAFv3.0.xsd
    places = [order.index(child.tag) for child in root]
    assert places == sorted(places) and {"AUTHOR", "DATE", "VERSION"} <= root.attrib.keys()
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None and {"MEDIA_URL", "MIME_TYPE"} <= media.attrib.keys()
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in root.iter("TIME_SLOT")}
    assert len(slots) == 2 * len(found) and list(slots.values()) == sorted(slots.values())
    types = {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")}
    tiers = list(root.iter("TIER"))
    assert len({tier.get("TIER_ID") for tier in tiers}) == len(tiers)
    assert {tier.get("LINGUISTIC_TYPE_REF") for tier in tiers} <= types
    names = [a.attrib["ANNOTATION_ID"] for a in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(names)) == len(names) == len(found)
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", name) for name in [*names, *slots])  # xsd:ID
    for tier in tiers:
        spans = [
            (slots[a.attrib[r]])
            for a in tier.iter("ALIGNABLE_ANNOTATION")
            for r in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")
        ]
        assert spans == sorted(spans) and all(a < b for a, b in zip(spans[::2], spans[1::2], strict=True))


def test_elan_needs_no_more_tiers_than_overlap() -> None:
    crowd = tuple(Detection("Run", Segment(i, i + 2.5), 0.5) for i in range(30))  # three at a time
    tiers = list(ET.fromstring(text_of("elan", Video("v", crowd))).iter("TIER"))
    assert [tier.get("TIER_ID") for tier in tiers] == ["Run", "Run (2)", "Run (3)"]
    assert {tier.get("PARTICIPANT") for tier in tiers} == {"Run"}


def test_cvat_tracks() -> None:
    root = ET.fromstring(text_of("cvat", Video("v", (*SHOTS, Detection("Run", Segment(39, 41), 0.5)), MEDIA)))
    assert root.findtext("version") == "1.1" and root.findtext("meta/task/size") == "1000"
    assert {label.text for label in root.iterfind("meta/task/labels/label/name")} == {d.label for d in SHOTS}
    first, *_, last = root.findall("track")
    assert [(b.get("frame"), b.get("outside")) for b in first.iter("box")] == [("25", "0"), ("74", "0"), ("75", "1")]
    assert [(b.get("frame"), b.get("outside")) for b in last.iter("box")] == [("975", "0"), ("999", "0")]
    corners = [tuple(float(b.attrib[c]) for c in ("xtl", "ytl", "xbr", "ybr")) for b in root.iter("box")]
    assert set(corners) == {(0, 0, 320, 240)}
    name, labels = exports.load("cvat", "export").setup(["Run"])
    assert name == "cvat-labels.json" and [label["name"] for label in json.loads(labels)] == ["Run"]


def test_edit_list() -> None:
    assert text_of("edl", Video("v", SHOTS[:1], MEDIA)) == (
        "TITLE: v\nFCM: NON-DROP FRAME\n\n"
        "001  AX       V     C        00:00:01:00 00:00:03:00 01:00:00:00 01:00:02:00\n"
        "* FROM CLIP NAME: v.mp4\n* COMMENT: Run 0.5\n"
    )
    events = re.findall(r"C {8}(\S+) (\S+) (\S+) (\S+)\n", text_of("edl", Video("v", SHOTS, MEDIA)))
    assert all(before[3] == after[2] for before, after in itertools.pairwise(events))


def test_timecode_in_closed_form() -> None:
    assert timecode(0, NTSC, True) == "00:00:00;00"
    assert [timecode(n, NTSC, True) for n in (1799, 1800, 3597, 3598)] == [
        *("00:00:59;29", "00:01:00;02", "00:01:59;29", "00:02:00;02")
    ]
    assert [timecode(n, NTSC, True) for n in (17981, 17982, 107892)] == ["00:09:59;29", "00:10:00;00", "01:00:00;00"]
    assert timecode(215784, Fraction(60000, 1001), True) == "01:00:00;00"
    assert timecode(24 * 3600 * 25 + 1, FPS, False) == "00:00:00:01"
    assert drops(NTSC) and drops(Fraction("29.97")) and drops(Fraction("59.94"))
    assert not any(map(drops, (Fraction(30), Fraction(60), FPS, Fraction(24000, 1001), Fraction(15))))


@quick
@example(frame=1616582)
@example(frame=24 * 107892 - 2)
@given(frame=st.integers(0, 24 * 107892 - 2))
def test_dropped_numbers_keep_time_and_skip_only_what_they_must(frame: int) -> None:
    def parts(code: str) -> tuple[int, ...]:
        return tuple(map(int, re.split("[:;]", code)))

    h, m, s, f = parts(timecode(frame, NTSC, True))
    # Two numbers at most, and what dropping 108 of 108,000 an hour leaves: 3.6 ms an hour.
    assert abs((h * 3600 + m * 60 + s + f / 30) - frame / NTSC) < 2 / 30 + 0.0036 * (h + 1)
    assert not (m % 10 and s == 0 and f < 2)
    assert parts(timecode(frame + 1, NTSC, True)) > (h, m, s, f)


def test_what_an_edit_list_cannot_hold() -> None:
    crowd = tuple(Detection("Run", Segment(i, i + 1), 0.5) for i in range(1000))
    with pytest.raises(InputError, match=r"^1000 detections, an edit list holds 999; "):
        text_of("edl", Video("v", crowd, Media(None, FPS)))
    with pytest.raises(InputError, match=r"^no timecode for 0.25 frames per second; --fps RATE$"):
        text_of("edl", Video("v", SHOTS, Media(None, Fraction(1, 4))))
