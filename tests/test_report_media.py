"""How videos enter a report: linked, embedded, and as small pictures."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from reported import film, page, timeline
from test_report import Read

from extract.stills import stills
from tal.errors import InputError, VideoError
from tal.report import Media
from tal.report.media import thumbnails


@pytest.mark.parametrize(
    ("report", "video", "link"),
    [
        ("out", "out/a.mp4", "./a.mp4"),
        ("out", "videos/a.mp4", "../videos/a.mp4"),
        ("out", "out/a #1?.mp4", "./a%20%231%3F.mp4"),
        ("out", "out/javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("out", "out/...mp4", "./...mp4"),
    ],
)
def test_videos_are_linked_relative_to_the_report(tmp_path: Path, report: str, video: str, link: str) -> None:
    found = Media(tmp_path / report).about(tmp_path / video)["href"]
    assert found == link
    assert (tmp_path / report / unquote(found)).resolve() == (tmp_path / video).resolve()


def test_an_embedded_video_is_the_file_itself(tmp_path: Path) -> None:
    source = tmp_path / "film.webm"
    source.write_bytes(bytes(range(256)) * 7000)  # longer than a piece
    found = Read(page(tmp_path, timeline(source=source), embed=True).read_text())
    assert base64.b64decode(found.scripts["media-0"], validate=True) == source.read_bytes()
    assert json.loads(found.scripts["video-0"])["media"] == {
        **{"href": None, "type": "video/webm", "file": "film.webm", "embedded": True}
    }


def test_a_video_that_went_away_leaves_no_half_report(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.mp4: cannot be read \(No such file or directory\); check the path"):
        page(tmp_path, timeline(source=tmp_path / "gone.mp4"), embed=True)
    assert list(tmp_path.iterdir()) == []


def test_stills_are_the_key_frames_before_their_times(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", seconds=10)  # a key frame each second, brighter and brighter
    found = list(stills(source, [0.0, 2.4, 2.6, 7.5], 48))
    assert [time_s for time_s, _ in found] == [0, 2, 7]  # two of them show the same
    assert {rgb.shape for _, rgb in found} == {(48, 64, 3)}
    for time_s, rgb in found:
        assert rgb.mean() == pytest.approx(25.5 * time_s, abs=4)


def test_where_key_frames_are_sparse_small_videos_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "film.mp4", seconds=10, key_every=1000)
    found = list(stills(source, [0.0, 2.42, 5.0, 7.5], 48))
    assert [time_s for time_s, _ in found] == [0, 2.5, 5, 7.5]  # frames come every tenth of a second
    for time_s, rgb in found:
        assert rgb.mean() == pytest.approx(25.5 * time_s, abs=4)
    monkeypatch.setattr("extract.stills.MAX_PIXELS", 100 * 128 * 96 - 1)
    assert [time_s for time_s, _ in stills(source, [0.0, 2.42, 5.0, 7.5], 48)] == [0]


def test_thumbnails_are_one_picture_row_by_row(tmp_path: Path) -> None:
    found = thumbnails(film(tmp_path / "film.mp4", seconds=20), 20.0, 10)
    assert found is not None
    assert found["times_s"] == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
    kind, _, data = found["image"].partition(",")
    assert kind == "data:image/jpeg;base64"
    sheet = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_GRAYSCALE)
    width, height, columns = found["width_px"], found["height_px"], found["columns"]
    assert sheet.shape == (2 * height, columns * width)
    for k, time_s in enumerate(found["times_s"]):
        row, column = divmod(k, columns)
        middle = sheet[row * height + height // 2, column * width + width // 2]
        assert int(middle) == pytest.approx(255 * time_s / 20, abs=6)


def test_what_is_no_video_has_no_thumbnails(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    assert thumbnails(path, 10.0, 10) is None
    assert thumbnails(tmp_path / "missing.mp4", 10.0, 10) is None
    with pytest.raises(VideoError, match="not a video that can be read; check that it plays elsewhere"):
        list(stills(path, [0.0], 48))


def test_equal_timelines_give_equal_files(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", seconds=5)
    one = replace(timeline(source=source), duration_s=5.0)
    assert page(tmp_path, one).read_bytes() == page(tmp_path, one).read_bytes()
