"""The benchmark of images: what is counted inside of one, and what is said where there is none."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tal import bench
from tal.errors import BackendError
from tal.files import shipped
from tal.progress import Silent

sys.path.append(str(shipped("benchmarks")))

import _images_inside as inside
import images

ENGINE = """#!/bin/sh
echo "$*" >> {folder}/calls
case "$1" in
  inspect) test -e {folder}/"$4" ;;
  from) echo box ;;
  run) /bin/cat > {folder}/script; echo "a word before"; /bin/cat {folder}/answer ;;
esac
"""
FOUND = {
    "n_bytes": 5_000_000,
    "n_compressed": 2_000_000,
    "packages": {f"p{i}": 1000 * i for i in range(20)},
    "starts_s": {"tal --version": 0.2},
}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Buildah that has the image ``tal:cpu``, and no other engine."""
    program = tmp_path / "programs" / "buildah"
    program.parent.mkdir()
    program.write_text(ENGINE.format(folder=tmp_path))
    program.chmod(0o755)
    (tmp_path / "tal:cpu").touch()
    (tmp_path / "answer").write_text(json.dumps(FOUND) + "\n")
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.delenv("TAL_BENCH_IMAGES", raising=False)
    return tmp_path


def test_each_file_counts_once_under_whatever_names(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "one").write_bytes(b"x" * 700)
    (tmp_path / "sub" / "two").write_bytes(b"y" * 30)
    (tmp_path / "sub" / "again").hardlink_to(tmp_path / "one")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert sorted(n for _, n in inside.files(tmp_path)) == [30, 700]


def test_compressed_is_what_gzip_makes(tmp_path: Path) -> None:
    """The header of gzip names the level only roughly, and has no other content that varies in size."""
    content = b"the same words again and again " * 9000
    (tmp_path / "a").write_bytes(content)
    assert inside.compressed(tmp_path) == len(gzip.compress(content, 6))


def test_packages_have_their_files_and_what_was_compiled_of_them(tmp_path: Path) -> None:
    files = {"one/__init__.py": 10, "one/__pycache__/__init__.cpython-311.pyc": 7, "one.libs/x.so": 100, "stray": 3}
    for name, n_bytes in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"0" * n_bytes)
    record = "one/__init__.py,,\none.libs/x.so,,\none-1.dist-info/METADATA,,\n"
    about = tmp_path / "one-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: one\n")
    (about / "RECORD").write_text(record)
    assert inside.packages(tmp_path) == {"one": 10 + 7 + 100 + len("Name: one\n"), "others": 3 + len(record)}


def test_the_script_needs_nothing_but_python(tmp_path: Path) -> None:
    """It runs in images through standard input, where no module of ours is beside it."""
    (tmp_path / "stray").write_bytes(b"123")
    text = images.INSIDE.read_text().replace('Path("/")', 'Path("/nowhere")')
    text = text.replace('sysconfig.get_path("purelib")', repr(str(tmp_path)))
    text = text.replace('("tal", "--version")', '("true",)').replace('("tal", "--help")', '("true", "x")')
    command = [sys.executable, "-I", "-", "1"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["n_bytes"] == 0 and found["starts_s"].keys() == {"true", "true x"}
    assert found["packages"] == {"others": 3}


def test_rows_name_the_image_and_its_largest_packages(engine: Path) -> None:
    rows = images.run(False, Silent())
    values = {row.name: (row.ours, row.unit) for row in rows}
    assert values["cpu: size"] == (5.0, "MB") and values["cpu: size, gzip"] == (2.0, "MB")
    assert values["cpu: tal --version"] == (0.2, "s")
    assert values["cpu: other than Python packages"] == (4.81, "MB")
    assert [row.name for row in rows if "package " in row.name] == [f"cpu: package p{i}" for i in range(19, 4, -1)]


def test_the_container_is_removed_and_got_the_script(engine: Path) -> None:
    images.run(False, Silent())
    calls = (engine / "calls").read_text().splitlines()
    assert calls[-3:] == ["from --pull-never tal:cpu", "run box -- python3 - 15 compress", "rm box"]
    assert (engine / "script").read_text() == images.INSIDE.read_text()


def test_quick_does_not_compress(engine: Path) -> None:
    images.run(True, Silent())
    assert "run box -- python3 - 3" in (engine / "calls").read_text().splitlines()


def test_images_that_are_named_must_all_be_there(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAL_BENCH_IMAGES", "tal:cpu mine:1")
    with pytest.raises(BackendError, match=r"^no tal:cpu, mine:1 in buildah; 'docker build "):
        images.run(True, Silent())
    (engine / "mine:1").touch()
    assert {row.name.partition(":")[0] for row in images.run(True, Silent())} == {"cpu", "1"}


def test_an_engine_without_images_is_passed_over(engine: Path) -> None:
    """Such as a Docker whose daemon does not run."""
    (engine / "programs" / "docker").write_text("#!/bin/sh\nexit 1\n")
    (engine / "programs" / "docker").chmod(0o755)
    assert images.chosen({}) == (images.Engine("buildah"), ["tal:cpu"])


def test_what_it_needs_is_said_in_a_line(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (engine / "tal:cpu").unlink()
    said = r"^no tal:cpu in buildah; 'docker build --target cpu -t tal:cpu \.' makes an image$"
    with pytest.raises(BackendError, match=said):
        bench.run("images", True, Silent())
    monkeypatch.setenv("PATH", str(engine))
    with pytest.raises(BackendError, match=r"^the benchmark needs images: install docker or podman or buildah and "):
        images.run(True, Silent())
