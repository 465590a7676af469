"""Annotations that people make in other programs become ground truth; what cannot be is told in one line."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import clips
import pytest
from exported import SHOTS, read, written
from small import tal

from tal.annotations import read_truth
from tal.errors import AnnotationError, ConfigError, InputError
from tal.pipeline import import_annotations, write_truth

Rows = list[tuple[str, float, float]]


def rows(name: str, path: Path, video: str = "v", fps: Fraction | None = Fraction(25)) -> Rows:
    return [(i.label, i.segment.start_s, i.segment.end_s) for i in read(name, path, fps)[video].instances]


EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-05-01T10:00:00+02:00" FORMAT="3.0" VERSION="3.0">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/my%%20videos/match.mp4" MIME_TYPE="video/mp4"/>
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1750"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="3000"/><TIME_SLOT TIME_SLOT_ID="ts4"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="actions"><ANNOTATION>
    <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE> Run </ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="Throw"><ANNOTATION>
    <ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="%s">
      <ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
  <TIER LINGUISTIC_TYPE_REF="notes" PARENT_REF="actions" TIER_ID="notes"><ANNOTATION>
    <REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1"><ANNOTATION_VALUE>fast</ANNOTATION_VALUE></REF_ANNOTATION>
  </ANNOTATION></TIER>
</ANNOTATION_DOCUMENT>
"""


def test_elan_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "x.eaf"
    path.write_text(EAF % "ts3")
    assert rows("elan", path, "match") == [("Run", 0.5, 1.75), ("Throw", 1.75, 3.0)]
    path.write_text(EAF % "ts4")
    with pytest.raises(
        AnnotationError, match=r"x.eaf, tier 'Throw', annotation a2: one of its ends has no time; align"
    ):
        read("elan", path)


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><job><source>match.mp4</source></job></meta>
  <track id="0" label="Run" source="manual">
    <box frame="10" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9"/>
    <box frame="30" keyframe="1" outside="1" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9"/>
    <box frame="50" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9"/>
    <polygon frame="59" keyframe="1" outside="0" occluded="0" points="1,1;2,2;3,3"/></track>
  <image id="5" name="frame_5"><tag label="Throw"/></image>
  <image id="4" name="frame_4"><tag label="Throw"/><tag label="Run"/></image>
  <image id="7" name="frame_7"><tag label="Throw"/></image>
</annotations>
"""


def test_cvat_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(CVAT)
    tags = [("Run", 0.4, 0.5), ("Throw", 0.4, 0.6), ("Throw", 0.7, 0.8)]
    assert rows("cvat", path, "match", Fraction(10)) == [*tags, ("Run", 1.0, 3.0), ("Run", 5.0, 6.0)]
    with pytest.raises(InputError, match=r"annotations.xml: times are frame numbers and the rate is not known; --fps"):
        read("cvat", path, None)
    path.write_text(CVAT.replace('frame="30"', 'frame="x"'))
    with pytest.raises(AnnotationError, match=r"annotations.xml, track 0: not the number of a frame: 'x'; write"):
        read("cvat", path)


def task(**more: Any) -> dict[str, Any]:
    value = {"ranges": [{"start": 11, "end": 20}], "timelinelabels": ["Run"]}
    result = [{"type": "timelinelabels", "value": value}, {"type": "choices", "value": {"choices": ["good"]}}]
    return {"data": {"video": "/data/upload/3/0a1b2c3d-my%20match.mp4"}, "annotations": [{"result": result}], **more}


def test_label_studio_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task()]))
    assert rows("label-studio", path, "my match", Fraction(10)) == [("Run", 1.0, 2.0)]
    cancelled = {"result": [], "was_cancelled": True}
    path.write_text(json.dumps([task(data={"video": "https://h/a%20b.mp4?x=1", "fps": "5"})]))
    assert rows("label-studio", path, "a b", None) == [("Run", 2.0, 4.0)]
    both = task()["annotations"]
    path.write_text(
        json.dumps(
            [task(annotations=[*both, cancelled]), task(data={"video": "b.mp4"}, annotations=[], predictions=both)]
        )
    )
    assert rows("label-studio", path, "b", Fraction(10)) == rows("label-studio", path, "my match", Fraction(10))
    with pytest.raises(InputError, match=r"export.json, tasks\[0\]: times are frame numbers and the rate is not known"):
        read("label-studio", path, None)


def test_via_by_hand(tmp_path: Path) -> None:
    path = written("via", SHOTS, tmp_path)
    tree = json.loads(path.read_text())
    tree["attribute"] = {
        "1": {"aname": "Where", "anchor_id": "FILE1_Z1_XY1", "type": 1, "options": {}},
        "2": {"aname": "Note", "anchor_id": "FILE1_Z2_XY0", "type": 1, "options": {}},
        "3": {"aname": "Action", "anchor_id": "FILE1_Z2_XY0", "type": 3, "options": {"0": "Run", "1": "Throw"}},
    }
    tree["metadata"] = {
        "x": {"vid": "1", "flg": 0, "z": [1.5, 2.25], "xy": [], "av": {"2": "well", "3": "1"}},
        "y": {"vid": "1", "flg": 0, "z": [0.5], "xy": [2, 1, 1, 5, 5], "av": {"1": "hand"}},
        "z": {"vid": "1", "flg": 0, "z": [0.25, 0.5], "xy": [], "av": {"3": "other"}},
    }
    path.write_text(json.dumps(tree))
    assert rows("via", path) == [("other", 0.25, 0.5), ("Throw", 1.5, 2.25)]
    tree["attribute"] = {}
    path.write_text(json.dumps(tree))
    with pytest.raises(AnnotationError, match=r"v.json, attribute: no attribute of temporal segments; annotate"):
        read("via", path)


def test_fiftyone_frames(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    entries = [{"label": 1, "support": [11, 20]}, {"label": "Run", "timestamps": [1.5, 2]}]
    path.write_text(json.dumps({"classes": ["Run", "Throw"], "labels": {"v.mp4": entries, "w": None}}))
    assert rows("fiftyone", path, fps=Fraction(10)) == [("Throw", 1.0, 2.0), ("Run", 1.5, 2.0)]
    path.write_text(json.dumps({"classes": ["Run"], "labels": {"v": entries[:1]}}))
    with pytest.raises(AnnotationError, match=r"labels.json, labels.v\[0\]: class 1 of 1; add it to 'classes'"):
        read("fiftyone", path)


@pytest.mark.parametrize(("name", "suffix"), [("elan", "eaf"), ("cvat", "xml")])
def test_xml_that_would_explode_or_is_none(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"v.{suffix}"
    for text, said in (
        ('<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>', "it has a document type, which is not read here; take it out"),
        ("<other/>", r"<other> where <\w+> was expected; check which format it is: --from"),
        ("<open>\n<a>", "line 2: not XML"),
        ("", "line 1: not XML"),
    ):
        path.write_text(text)
        with pytest.raises(AnnotationError, match=said):
            read(name, path)


def test_a_folder_becomes_truth(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written("elan", SHOTS, tmp_path / name).rename(tmp_path / f"{name}.eaf")
        text = (tmp_path / f"{name}.eaf").read_text().replace(">v<", f">{name}<").replace("Run", "Ambiguous")
        (tmp_path / f"{name}.eaf").write_text(text)
    truth = import_annotations([tmp_path], subset="test")
    write_truth(tmp_path / "truth.json", truth)
    again = read_truth(tmp_path / "truth.json")
    assert again == truth and again.subsets == ("test",) and again.classes == (SHOTS[1].label,)
    assert [len(video.ambiguous) for video in again.videos.values()] == [3, 3]


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    path = written("via", SHOTS, tmp_path)
    with pytest.raises(ConfigError, match=r"v.json: its name does not tell the format; --from csv, cvat, elan,"):
        import_annotations([path])
    eaf = written("elan", SHOTS, tmp_path)
    with pytest.raises(InputError, match=r"v.eaf: video 'v' is annotated in .*v.eaf as well; leave one out"):
        import_annotations([eaf, eaf])
    with pytest.raises(InputError, match=r"no file \*.vtt in this folder"):
        import_annotations([tmp_path], "vtt")


def test_the_command_reads_the_rate_off_the_videos(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    clips.write(tmp_path / "videos/match.mp4", range(30), Fraction(1, 10))
    (tmp_path / "annotations.xml").write_text(CVAT)
    options = ["--from", "cvat", "--videos", "videos", "-o", "truth.json", "--json"]
    done = tal("import-annotations", "annotations.xml", *options, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "out": "truth.json",
        "n_videos": 1,
        "n_instances": 5,
        "classes": ["Run", "Throw"],
    }
    assert done.stderr == "truth.json: 5 instances of 2 classes in 1 videos\n"
    assert max(i.segment.end_s for i in read_truth(tmp_path / "truth.json").videos["match"].instances) == 6.0
