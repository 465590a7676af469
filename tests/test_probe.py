"""`tal probe`: what it shows of good, odd and damaged videos, for people and for programs."""

from __future__ import annotations

import json
import os
import pty
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import clips
import pytest
from probed import listed, run

from tal.errors import ConfigError
from tal.pipeline import probe
from tal.pipeline.probing import FIRST_FRAMES, Seen
from tal.progress import Silent

LOST = range(15 * clips.GROUP, 16 * clips.GROUP)
N_LONG = 17 * clips.GROUP
MIRROR = struct.pack(">9i", -(1 << 16), 0, 0, 0, 1 << 16, 0, 160 << 16, 0, 1 << 30)
CODEC = "h264" if clips.CODEC == "libx264" else clips.CODEC


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.write(tmp_path_factory.mktemp("good") / "good.mp4", range(30))


@pytest.fixture(scope="module")
def holed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video at 25 frames per second that lacks one group of pictures behind its first 100 frames."""
    path = clips.write(tmp_path_factory.mktemp("holed") / "holed.mp4", range(N_LONG))
    content = bytearray(path.read_bytes())
    for start, end in clips.packet_spans(path)[LOST.start : LOST.stop]:
        content[start:end] = b"\xff" * (end - start)
    path.write_bytes(content)
    return path


def block(*arguments: object, cwd: Path) -> dict[str, str]:
    done = run(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return {line[:11].strip(): line[11:] for line in done.stdout.splitlines()}


def test_one_video_is_a_block_of_two_columns(good: Path) -> None:
    assert block(good, cwd=good.parent) == {
        "video": str(good),
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "codec": CODEC,
        "pixels": "yuv420p, matrix not stated, range not stated",
        "size": "160x120 as shown",
        "rate": "25 nominal, 25 average, 25 measured, constant",
        "frames": "30 claimed, 30 decoded",
        "time": "starts at 0.000 s, claims to end at 1.200 s, decoded to 1.200 s",
        "damage": "none",
        "gaps": "none",
    }


def test_json_has_every_field_of_the_documented_schema(good: Path) -> None:
    (found,) = listed(good.name, cwd=good.parent)
    assert found == {
        **{"path": "good.mp4", "path_hex": None, "error": None, "container": "mov,mp4,m4a,3gp,3g2,mj2"},
        **{"codec": CODEC, "pixel_format": "yuv420p", "width_px": 160, "height_px": 120, "rotation_deg": 0},
        **{"mirrored": False, "colour": None, "colour_range": None},
        **{"fps_nominal": 25, "fps_nominal_exact": "25/1", "fps_average": 25, "fps_average_exact": "25/1"},
        **{"fps_measured": 25, "variable_rate": False, "time_base": "1/12800"},
        **{"start_s": 0, "duration_s": 1.2, "end_s": 1.2, "complete": True},
        **{"n_frames_claimed": 30, "n_frames_decoded": 30, "n_bad_packets": 0, "n_damaged_frames": 0, "gaps_s": []},
    }
    (failed,) = listed("none.mp4", cwd=good.parent, status=1)
    assert list(failed) == list(found) == ["path", "path_hex", "error", *Seen.__annotations__]
    assert {key for key, value in failed.items() if value is not None} == {"path", "error"}


def test_rates_are_exact_in_strings_and_rounded_in_numbers(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "ntsc.mp4", range(30), Fraction(1001, 30000))
    (found,) = listed(path, cwd=tmp_path)
    assert (found["fps_average"], found["fps_average_exact"]) == (29.97003, "30000/1001")
    assert (found["fps_nominal_exact"], found["time_base"]) == ("30000/1001", "1/30000")
    assert block(path, cwd=tmp_path)["rate"].startswith("29.97 (30000/1001) nominal, ")


def test_a_variable_rate_is_told(tmp_path: Path) -> None:
    stamps = [4 * (i // 2) + i % 2 for i in range(20)]  # steps of 1 and 3 ticks; the last tick is 37
    path = clips.write(tmp_path / "vfr.mp4", stamps)
    (found,) = listed(path, cwd=tmp_path)
    assert found["variable_rate"] is True and found["fps_measured"] == round(19 * 25 / 37, 6)
    assert block(path, cwd=tmp_path)["rate"].endswith(", variable")
    assert "variable rate" in run(path, "none.mp4", cwd=tmp_path).stdout


def test_rotation_and_mirroring_are_told(tmp_path: Path) -> None:
    turned = clips.write(tmp_path / "turned.mp4", range(5), rotation=90)
    mirrored = clips.write(tmp_path / "mirrored.mp4", range(5))
    content = bytearray(mirrored.read_bytes())
    matrix = content.index(b"tkhd") + 44  # ISO 14496-12, section 8.3.2, version 0
    content[matrix : matrix + len(MIRROR)] = MIRROR
    mirrored.write_bytes(content)
    found = {entry["path"]: entry for entry in listed("turned.mp4", "mirrored.mp4", cwd=tmp_path)}
    kept = ("width_px", "height_px", "rotation_deg", "mirrored")
    assert [found["turned.mp4"][key] for key in kept] == [120, 160, 90, False]
    assert [found["mirrored.mp4"][key] for key in kept] == [160, 120, 0, True]
    assert block(turned, cwd=tmp_path)["size"] == "120x160 as shown, rotated 90 degrees clockwise"
    assert block(mirrored, cwd=tmp_path)["size"] == "160x120 as shown, mirrored left to right"
    rows = run(turned, mirrored, cwd=tmp_path).stdout.splitlines()
    assert rows[1].endswith("  rotated 90") and rows[2].endswith("  mirrored")


def test_only_the_first_frames_are_looked_at_and_the_output_says_so(holed: Path) -> None:
    shown = block(holed, cwd=holed.parent)
    assert shown["frames"] == f"{N_LONG} claimed, only the first {FIRST_FRAMES} decoded (--full: all)"
    assert shown["time"].endswith("decoded to 4.000 s")
    assert shown["damage"] == shown["gaps"] == "none in the first 100 frames"
    (found,) = listed(holed, cwd=holed.parent)
    assert (found["complete"], found["n_frames_decoded"], found["end_s"], found["gaps_s"]) == (False, 100, 4.0, [])
    several = run(holed, "none.mp4", cwd=holed.parent)
    assert "1 of 1 videos: only the first 100 frames were decoded; --full decodes all" in several.stdout


def test_full_finds_the_damage(holed: Path) -> None:
    shown = block(holed, "--full", cwd=holed.parent)
    assert shown["frames"] == f"{N_LONG} claimed, {N_LONG - clips.GROUP} decoded"
    assert shown["damage"] == "12 bad packets, 0 damaged frames"
    assert shown["gaps"] == "7.200 to 7.680 s; 0.480 s in all"
    (found,) = listed(holed, "--full", cwd=holed.parent)
    assert (found["complete"], found["n_bad_packets"], found["gaps_s"]) == (True, 12, [[7.2, 7.68]])
    rows = run(holed, "none.mp4", "--full", cwd=holed.parent).stdout.splitlines()
    assert "192 of 204" in rows[1] and rows[1].endswith("no pictures for 0.48 s (from 7.20 s), 12 bad packets")
    assert "only the first" not in "".join(rows)


def test_a_gap_over_the_limit_makes_a_video_unusable_and_everything_is_still_shown(holed: Path) -> None:
    reason = "no pictures from 7.20 to 7.68 s, damaged or cut short; copy it again, or allow gaps of more than 0.47 s"
    done = run(holed.name, "--full", "--max-gap", "0.47", cwd=holed.parent)
    assert (done.returncode, done.stderr) == (1, f"tal: {holed.name}: {reason}\n")
    assert "7.200 to 7.680 s" in done.stdout
    (found,) = listed(holed.name, "--full", "--max-gap", "0.47", cwd=holed.parent, status=1)
    assert (found["error"], found["gaps_s"]) == (reason, [[7.2, 7.68]])
    assert run(holed.name, "--full", "--max-gap", "0.48", cwd=holed.parent).returncode == 0


def test_on_a_terminal_the_common_folder_is_named_once_and_lines_fit(good: Path, holed: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "cli.app", "probe", str(good), str(holed), "--full", "--quiet"]
    subprocess.run(command, stdout=slave, env={**os.environ, "COLUMNS": "72", "NO_COLOR": "1"}, check=True)
    os.close(slave)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    lines = [line.replace("\x1b[1m", "").replace("\x1b[0m", "").rstrip() for line in shown.splitlines()]
    assert lines[0] == f"in {good.parents[1]}:"
    assert any(line.startswith(f"{good.parent.name}/good.mp4") for line in lines)
    assert max(len(line) for line in lines[1:]) <= 72


def test_metadata_that_is_not_utf_8_does_no_harm(good: Path, tmp_path: Path) -> None:
    import av

    path = tmp_path / "tagged.mp4"
    with av.open(str(good)) as source, av.open(str(path), "w") as target:
        target.metadata["title"] = "name of it"
        source_stream = source.streams.video[0]
        stream = target.add_stream_from_template(source_stream)
        for packet in source.demux(source_stream):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = path.read_bytes()
    assert b"name of it" in content
    path.write_bytes(content.replace(b"name of it", b"n\xe4me \xff\xfe it"))
    (found,) = listed(path, cwd=tmp_path)
    assert (found["error"], found["n_frames_decoded"]) == (None, 30)


def test_the_python_api_takes_one_path_or_several(good: Path) -> None:
    (found,) = probe(str(good))
    assert found.path == good and found.error == "" and found.survey is not None
    assert [one.error == "" for one in probe([good, "none.mp4"])] == [True, False]
    assert probe([]) == []
    with pytest.raises(ConfigError, match="unknown decoder"):
        probe(good, decoder="none")
    with pytest.raises(ConfigError, match="longest gap"):
        probe(good, max_gap_s=-0.1)


def test_progress_counts_videos_with_their_names(good: Path) -> None:
    told: list[object] = []

    class Listener(Silent):
        @contextmanager
        def task(self, title: str, total: float | None, unit: str) -> Iterator[Listener]:
            told.append((title, total, unit))
            yield self

        def advance(self, amount: float = 1, note: str = "") -> None:
            if note:  # frames have none
                told.append((amount, note))

    probe([good, "none.mp4"], progress=Listener())
    assert told == [("probe", 2, "videos"), ("decode", None, "frames"), (1, "good.mp4"), (1, "none.mp4")]


def test_noise_in_the_file_is_counted_and_costs_only_its_own_groups(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "noisy.mp4", range(N_LONG))
    hit = clips.damage(path, seed=1)
    (found,) = listed(path, "--full", "--max-gap", "60", cwd=tmp_path)
    assert found["n_frames_decoded"] >= N_LONG - clips.GROUP * len(hit)
    assert found["n_bad_packets"] + found["n_damaged_frames"] > 0


def test_real_files_are_described_as_they_are(shared: Path) -> None:
    nasty = shared / "data" / "nasty"
    found = {one.path.name: one.to_dict() for one in probe([nasty, shared / "data" / "actions" / "single"])}
    assert len(found) == len({*nasty.iterdir(), *(shared / "data" / "actions" / "single").iterdir()})
    assert found["rot90.mov"]["rotation_deg"] == 90 and found["rot0.mov"]["rotation_deg"] == 0
    assert found["h264_10bits.mp4"]["pixel_format"] == "yuv420p10le"
    assert found["exo_sample_android_slow_motion.mp4"]["variable_rate"] is True
    assert found["exo_edit_list_positive_shift.mp4"]["start_s"] == 1
    assert found["RATRACE_wave_f_nm_np1_fr_goo_37.avi"]["error"] is None
    assert all("\n" not in (one["error"] or "") for one in found.values())
    json.dumps(list(found.values()), ensure_ascii=False).encode("utf-8")
