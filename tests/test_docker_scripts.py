"""The scripts that build the image, run on folders made here with a stand-in for ``uv`` that notes how it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KEPT = {
    "torch/lib/libtorch_cpu.so",
    "torch/bin/torch_shm_manager",
    "torch/testing/__init__.py",
    "nvidia/cu13/lib/libnvrtc.so.13",
    "nvidia/cu13/lib/libcusolver.so.12",
    "nvidia/nvshmem/lib/libnvshmem_host.so.3",
    "ray/core/raylet",
    "botocore/data/endpoints.json",
    "botocore/data/s3/2006-03-01/service-2.json.gz",
    "botocore/data/sso-oidc/2019-06-10/service-2.json.gz",
    "package/__init__.py",
}
DROPPED = {
    "torch/include/ATen/ATen.h",
    "torch/share/cmake/Torch.cmake",
    "torch/test/one",
    "torch/bin/test_jit",
    "torch/bin/protoc-3.13.0.0",
    "torch/lib/libone.a",
    "nvidia/cu13/include/cuda.h",
    "nvidia/cu13/lib/libnvrtc.alt.so.13",
    "nvidia/cu13/lib/libnvrtc-builtins.alt.so.13.0",
    "nvidia/cu13/lib/libcusolverMg.so.12",
    "nvidia/nvshmem/lib/libnvshmem_device.bc",
    "ray/jars/ray_dist.jar",
    "ray/rllib/__init__.py",
    "ray/dashboard/main.js.map",
    "botocore/data/ec2/2016-11-15/service-2.json.gz",
    "package/tests/test_one.py",
    "package/inner/tests/__init__.py",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The packages of an environment, as large wheels leave them."""
    site = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    for name in KEPT | DROPPED:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("")
    return site


def ran(script: str, *arguments: str, folder: Path, torchvision: bool = True) -> tuple[list[str], str]:
    """Run a script of the image; returns how it called ``uv`` and what it said."""
    programs, environment = folder / "programs", folder / "venv"
    for place in (programs, environment / "bin", environment / "lib" / "python3.11" / "site-packages"):
        place.mkdir(parents=True, exist_ok=True)
    python = f'case $2 in "import torchvision") exit {int(not torchvision)};; esac; exec {sys.executable} "$@"'
    made = {programs / "uv": f'echo "$*" >> {folder}/calls', environment / "bin" / "python": python}
    for path, line in made.items():
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    shutil.copy(ROOT / "constraints.txt", folder)
    done = subprocess.run(
        [str(ROOT / "docker" / script), *arguments],
        cwd=folder,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "VIRTUAL_ENV": str(environment)},
        capture_output=True,
        text=True,
        check=True,
    )
    calls = folder / "calls"
    return calls.read_text().splitlines() if calls.exists() else [], done.stderr


def test_one_call_installs_all_from_the_usual_index(tmp_path: Path) -> None:
    calls, said = ran("dependencies", "s3,ray", folder=tmp_path)
    assert [call.partition(" -c ")[2] for call in calls] == ["constraints.txt --extra s3 --extra ray -r pyproject.toml"]
    assert said == ""


def test_no_extras_are_none(tmp_path: Path) -> None:
    (call,), _ = ran("dependencies", "", "", folder=tmp_path)
    assert call.endswith("-c constraints.txt -r pyproject.toml")


def test_only_pytorch_comes_from_the_index_that_is_named_and_is_pinned(tmp_path: Path) -> None:
    pins = [line.split()[0] for line in (ROOT / "constraints.txt").read_text().splitlines()]
    torch, vision = (next(pin for pin in pins if pin.startswith(f"{name}==")) for name in ("torch", "torchvision"))
    calls, said = ran("dependencies", "s3", "http://index.test/", folder=tmp_path)
    assert calls[0].endswith(
        f"--no-deps --index http://index.test/ --index-strategy unsafe-best-match {torch} {vision}"
    )
    assert "index.test" not in calls[1] and len(calls) == 2 and said == ""


def test_a_torchvision_for_another_pytorch_is_taken_out_and_said(tmp_path: Path) -> None:
    calls, said = ran("dependencies", "s3", "http://index.test/", folder=tmp_path, torchvision=False)
    assert calls[-1].startswith("pip uninstall") and calls[-1].endswith(" torchvision")
    assert said == (
        "note: no torchvision for this PyTorch in http://index.test/; "
        "left out: other networks than I3D and its class names need it\n"
    )


def test_the_package_is_found_where_the_image_has_it(tmp_path: Path) -> None:
    ran("dependencies", "", folder=tmp_path)
    (found,) = (tmp_path / "venv").glob("lib/python3*/site-packages/tal.pth")
    assert found.read_text() == "/opt/tal\n"
    assert "COPY --from=package /opt/tal /opt/tal" in (ROOT / "Dockerfile").read_text()


def test_what_nothing_reads_is_removed_and_nothing_else(site: Path, tmp_path: Path) -> None:
    ran("trim", folder=tmp_path)
    left = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert left == KEPT


def test_triton_goes_since_there_is_no_compiler_for_it(site: Path, tmp_path: Path) -> None:
    calls, _ = ran("trim", folder=tmp_path)
    assert [call.split()[:2] + call.split()[-1:] for call in calls] == [["pip", "uninstall", "triton"]]


def test_all_that_is_left_is_compiled(site: Path, tmp_path: Path) -> None:
    """No user of the image may write beside the source, so each start would compile anew."""
    (site / "package" / "template.py").write_text("{{ not Python }}")
    ran("trim", folder=tmp_path)
    assert len(list((site / "package" / "__pycache__").glob("__init__.*.pyc"))) == 1


def test_a_wheel_that_is_there_is_taken_in_place_of_building(tmp_path: Path) -> None:
    """Runs the script with its two absolute folders moved here; building would fail, for lack of an index."""
    text = (ROOT / "docker" / "opencv-cuda").read_text()
    for place in ("/wheels", "/opt/opencv"):
        assert place in text
    script = tmp_path / "docker" / "opencv-cuda"
    (tmp_path / "docker" / "wheels").mkdir(parents=True)
    (tmp_path / "docker" / "wheels" / "one.whl").write_text("wheel")
    text = text.replace(" /wheels", f" {tmp_path}/made").replace("/opt/opencv", f"{tmp_path}/opencv")
    script.write_text(text.replace("in /wheels", "there"))
    script.chmod(0o755)
    calls, _ = ran(str(script), "8.6", folder=tmp_path)
    assert (tmp_path / "made" / "one.whl").read_text() == "wheel"
    assert "--no-deps" in calls[0] and calls[0].endswith(f"--compile-bytecode {tmp_path}/made/one.whl")
    assert "cuda-toolkit[npp]==" in calls[1] and len(calls) == 2
