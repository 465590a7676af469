"""`tal label --check`: what a filled-in table is told, and which labels are probably one."""

from __future__ import annotations

from pathlib import Path

import labelled
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled import QUICK, videos

from tal.annotations.spelling import alike, difference
from tal.pipeline.labelling import check_labels

films = labelled.films  # a fixture


def told(films: Path, text: str) -> list[str]:
    path = films.parent / "labels.csv"
    path.write_text(text)
    where = {f"{f.code}{'!' * f.fatal} {f.line}: {f.text}; {f.remedy}": f for f in check_labels(films, path).findings}
    return list(where)


def test_nothing_is_said_of_a_good_table(films: Path) -> None:
    assert told(films, "video,label\na,jump\nb,run\nc,jump\nb.avi,jump\na,run\n") == []


FINDINGS = {
    "a,jump\nb,jump\nc,jump\nd,jump\n": ["unknown video! 5: no video is named 'd'; correct the name or remove the row"],
    "a,jump\nb,jump\nc,jump\nd,\n": ["unknown video 5: no video is named 'd'; correct the name or remove the row"],
    "a,jump\nb,\n,jump\n": [
        "no video! 4: empty 'video'; write the video or remove the row",
        "unlabelled 3: video 'b' has no label; write one, or it is not learnt from",
        "unlabelled None: video 'c' has no label; add a row, or it is not learnt from",
    ],
    "a,jump,run\nb,jump\nc,jump\na,jump\n": ["cells! 2: 3 cells under 2 columns; give each label a row of its own"],
    "a,jump\na.mp4,jump\nb,jump\nc,jump\n": ["twice 3: the same video and label as in line 2; remove one of the rows"],
    "a,\nb,\nc,\n": ["no labels! None: no label at all; write an action beside each video"],
    "a,High Jump\nb,High Jump\nc,HighJump\na,HighJump\nb,highjumps\nc,highjumps\n": [
        "alike 4: 'HighJump' (2 videos) and 'High Jump' (2 videos) differ only in case, blanks or signs; "
        "if they are one action, write 'High Jump'",
        "alike 6: 'highjumps' (2 videos) and 'High Jump' (2 videos) differ only by an ending; "
        "if they are one action, write 'High Jump'",
        "alike 6: 'highjumps' (2 videos) and 'HighJump' (2 videos) differ only by an ending; "
        "if they are one action, write 'HighJump'",
    ],
    "a,jump\nb,jump\nc,run\n": ["once 4: 'run' has one video only; label more videos with it, or leave it out"],
    "a,jump\nb,run\nc,jump\na,run\nb,jump / run\n": [
        "several 6: 'jump / run' is read as one label; give each label a row of its own"
    ],
    "a,Ambiguous\nb,jump\nc,jump\n": [
        "ambiguous 2: 'Ambiguous' marks time that counts for nothing and is never learnt; "
        "choose another word if it is an action"
    ],
}


@pytest.mark.parametrize(("rows", "expected"), FINDINGS.items(), ids=range(len(FINDINGS)))
def test_what_a_table_is_told(films: Path, rows: str, expected: list[str]) -> None:
    assert told(films, f"video,label\n{rows}") == expected


def test_a_near_name_is_suggested_and_subsets_must_agree(films: Path) -> None:
    videos(films.parent, "swimming_1.mp4", "swimming_2.mp4")
    found = told(films, "video,label,subset\na,x,train\na,y,test\nswiming_1,x,train\n")
    assert found[0] == "subset! 3: video 'a' is in subset 'test' here and in 'train' above; give each video one subset"
    assert found[1] == "unknown video! 4: no video is named 'swiming_1'; did you mean 'swimming_1'?"


# Labels that are probably one


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("HighJump", "high-jump", "spelling"),
        ("toss", "tosses", "plural"),
        ("run", "runs", "plural"),
        ("diving", "divng", "letter"),
        ("diving", "dviing", "letter"),
        ("diving", "riding", None),
        ("run", "gun", None),
        ("step 1", "step 2", None),
        ("step 1", "step 12", None),
        ("open door", "close door", None),
        ("!", "?", None),
        ("Straße fegen", "STRASSE FEGEN", "spelling"),
    ],
)
def test_how_labels_differ(one: str, other: str, how: str | None) -> None:
    assert difference(one, other) == difference(other, one) == how
    assert list(alike([one, other])) == ([(*sorted([one, other]), how)] if how else [])


LABEL = st.text("abs 1", min_size=1, max_size=6)


@QUICK
@given(st.lists(LABEL, max_size=12))
def test_no_pair_is_overlooked(labels: list[str]) -> None:
    every = sorted(set(labels))
    expected = [(a, b, how) for i, a in enumerate(every) for b in every[i + 1 :] if (how := difference(a, b))]
    assert list(alike(labels)) == expected
