"""What a folder of real files holds beside good videos: pipes, links, odd names, files that change."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clips
import pytest
from small import OPTIONS, World, settings, tal

from extract.video import find_videos, open_video, video_name
from tal import pipeline, shards
from tal.cache import Cache
from tal.errors import InputError, VideoError
from tal.settings import Settings

RGB_ONLY = ["--set", "extract.streams=[rgb]"]


@pytest.fixture
def rgb() -> Settings:
    return settings("extract.streams=[rgb]")


def some_video(world: World) -> Path:
    return min(world.data.videos.iterdir())


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    """A good video among files that are none."""
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "good.mp4").write_bytes(some_video(world).read_bytes())
    os.mkfifo(folder / "pipe.mp4")
    (folder / "gone.mp4").symlink_to(tmp_path / "nothing.mp4")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    (folder / "folder.mp4").mkdir()
    (folder / "empty.mp4").touch()
    return folder


def test_a_batch_tells_of_every_file_and_goes_on(folder: Path, tmp_path: Path, rgb: Settings) -> None:
    done = pipeline.extract(folder, tmp_path / "out", rgb, cache=Cache(tmp_path / "cache"))
    assert set(done.shards) == {"good"}
    assert done.failures == {
        "pipe": f"{folder / 'pipe.mp4'}: not a regular file; name a video file",
        "gone": f"{folder / 'gone.mp4'}: no such file or folder; check the path",
        "loop": f"{folder / 'loop.mp4'}: a symbolic link that leads back to itself; name the video",
        "empty": f"{folder / 'empty.mp4'}: empty file (0 bytes); copy or download it again",
    }


def test_a_folder_of_nothing_but_pipes(tmp_path: Path, rgb: Settings) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    done = pipeline.extract(tmp_path, tmp_path / "out", rgb, cache=Cache(tmp_path / "cache"))
    assert (dict(done.shards), list(done.failures)) == ({}, ["pipe"])


def test_a_link_loop_named_directly_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    with pytest.raises(InputError, match=r"loop\.mp4: a symbolic link that leads back to itself; name the video$"):
        find_videos([tmp_path / "loop.mp4"])


def test_one_video_under_two_names_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    assert len(find_videos([tmp_path])) == 1


NAMES = [os.fsdecode(b"latin-\xe9.mp4"), "two\nlines.mp4", "\x1b[31mred.mp4", "[bold]x[red].mp4", "50% añ 视频.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_goes_through_the_command_line(tmp_path: Path, world: World, name: str) -> None:
    video = tmp_path / "videos" / name
    video.parent.mkdir()
    video.write_bytes(some_video(world).read_bytes())
    (tmp_path / "videos" / f"bad{name}").touch()
    cache, arguments = tmp_path / "cache", [*OPTIONS, *RGB_ONLY]
    for n_made in (1, 0):  # the second run finds the shard
        done = tal("extract", video.parent, "-o", tmp_path / "out", *arguments, cwd=tmp_path, cache=cache)
        assert done.returncode == 1  # the empty file
        assert f"({n_made} made, {1 - n_made} kept)" in done.stderr
        assert "\x1b[31m" not in done.stderr
        assert sum("empty file" in line for line in done.stderr.splitlines()) >= 1
    shard = tmp_path / "out" / f"{video_name(video)}{shards.SUFFIX}"
    provenance = shards.read(shard).provenance
    assert provenance["video"]["name"] == f"{video_name(video)}.mp4"
    json.dumps(provenance).encode("utf-8", "strict")


class Growing:
    """An open video that someone appends to while it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def frames(self) -> Iterator[Any]:
        for i, rgb in enumerate(open_video(self._path, 25, 64)):  # type: ignore[arg-type]
            if i == 3:
                with self._path.open("ab") as file:
                    file.write(b"\0" * 4096)
            yield rgb


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", range(60))
    with pytest.raises(VideoError) as caught:
        list(Growing(path).frames())
    assert str(caught.value) == f"{path}: changed while it was read; run again when nothing writes to it"


def test_a_file_that_vanishes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", range(60))
    frames = iter(open_video(path, 25, 64))  # type: ignore[arg-type]
    next(frames)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        list(frames)


def test_a_video_replaced_after_it_was_hashed_gives_no_shard(
    tmp_path: Path, world: World, rgb: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from extract.features import Extractor

    video, honest = tmp_path / "a.mp4", Extractor.run
    video.write_bytes(some_video(world).read_bytes())

    def replaced(self: Extractor, *given: Any) -> Any:
        for request, features in honest(self, *given):
            video.write_bytes(b"something else")
            yield request, features

    monkeypatch.setattr(Extractor, "run", replaced)
    done = pipeline.extract(video, tmp_path / "out", rgb, cache=Cache(tmp_path / "cache"))
    assert done.failures == {"a": f"{video}: changed while it was read; run again when nothing writes to it"}
    assert not list((tmp_path / "out").glob(f"*{shards.SUFFIX}"))


def test_damage_is_told_and_kept_with_the_features(tmp_path: Path, rgb: Settings) -> None:
    path = clips.write(tmp_path / "a.mp4", range(10 * clips.GROUP))
    content = bytearray(path.read_bytes())
    for start, end in clips.packet_spans(path)[2 * clips.GROUP : 3 * clips.GROUP]:
        content[start:end] = b"\xff" * (end - start)
    path.write_bytes(content)
    done = pipeline.extract(path, tmp_path / "out", rgb, cache=Cache(tmp_path / "cache"))
    assert done.remarks == {"a": "no pictures for 0.48 s (from 0.96 s), 12 bad packets"}
    assert shards.read(done.shards["a"]).provenance["video"]["decode"]["gaps"] == [[0.96, 1.44]]


def test_the_gap_limit_is_in_no_key(tmp_path: Path, world: World, rgb: Settings) -> None:
    video, cache = some_video(world), Cache(tmp_path / "cache")
    assert pipeline.extract(video, tmp_path / "out", rgb, cache=cache).made
    other = settings("extract.streams=[rgb]", "extract.max_gap_s=60")
    assert not pipeline.extract(video, tmp_path / "out", other, cache=cache).made


@pytest.mark.parametrize("size", [(4, 4), (6, 64), (8200, 16)])
def test_sizes_out_of_bounds_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    path = clips.write(tmp_path / "a.mkv", range(2), size=size, codec="ffv1", pix_fmt="bgr0")
    with pytest.raises(VideoError) as caught:
        open_video(path, 25, 64)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"{path}: its pictures are {size[0]}x{size[1]} px; sides of 8 to 8192 px can be read, check the file or "
        "scale it"
    )


@pytest.mark.parametrize("size", [(16384, 2160), (16384, 16), (1, 1), (0, 0)])
def test_a_header_with_an_impossible_size_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    """The header of a sound file is patched."""
    path = clips.write(tmp_path / "a.avi", range(3), codec="rawvideo", pix_fmt="bgr24")
    content = bytearray(path.read_bytes())
    at = content.index(b"strf") + 12
    content[at : at + 8] = b"".join(side.to_bytes(4, "little") for side in size)
    path.write_bytes(content)
    shown = f"{size[0]}x{size[1]}"
    with pytest.raises(VideoError, match=rf"its pictures are {shown} px; sides of 8 to 8192 px can be read"):
        open_video(path, 25, 64)  # type: ignore[arg-type]
