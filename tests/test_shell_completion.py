"""Completion as the shells ask for it, and what it offers."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from small import Done, tal

from cli import completing
from tal import bench, config, diagnosis, feature_sets, methods
from tal.settings import Settings
from tal.settings.protocols import PROTOCOLS


def bash(line: str, cwd: Path, **more: str) -> list[str]:
    """Return what is offered for the last word of a line, which may be empty."""
    words = line.split(" ")
    asked = {"_TAL_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    return asking(cwd, {**asked, **more}).stdout.split()


def asking(cwd: Path, asked: dict[str, str]) -> Done:
    done = tal(cwd=cwd, cache=cwd / "cache", **asked)
    assert done.stderr == ""
    return done


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tal ex", ["export-features", "extract"]),
        ("tal weights ", ["convert", "fetch", "ls", "verify"]),
        ("tal train --tens", ["--tensorboard"]),
        ("tal train --method c", ["cmcs", "cpmn"]),
        ("tal train -m cmcs --dataset a", ["activitynet12", "activitynet13"]),
        ("tal extract --preset w", ["wtalc"]),
        ("tal extract --decoder p", ["pyav"]),
        ("tal extract --flow opencv", ["opencv", "opencv-cuda"]),
        ("tal extract --backbone slow", ["slow_r50", "slowfast_r50"]),
        ("tal extract --device c", ["cpu", "cuda", "cuda:0"]),
        ("tal extract --weights r", ["random:0"]),
        ("tal evaluate --protocol t", ["thumos14"]),
        ("tal evaluate --videos thumos14-210", ["thumos14-210"]),
        ("tal diagnose --buckets q", ["quantiles"]),
        ("tal data check th", ["thumos14"]),
        ("tal reproduce activitynet12 --dataset-settings th", ["thumos14"]),
        ("tal import-features wt", ["wtalc"]),
        ("tal export-features --to act", ["actionformer"]),
        ("tal bench answ", ["answers"]),
        ("tal weights fetch f", ["flow"]),
    ],
)
def test_what_bash_is_offered(tmp_path: Path, line: str, offered: list[str]) -> None:
    found = bash(line, tmp_path)
    assert set(offered) <= set(found)
    assert all(word.startswith(line.rsplit(" ", maxsplit=1)[-1]) for word in found)


def test_a_key_comes_with_its_default_once_it_is_the_only_one(tmp_path: Path) -> None:
    assert bash("tal train --set train.lr", tmp_path) == ["train.lr=", "train.lr=0.0005"]
    assert bash("tal train --method cmcs --set method.br", tmp_path) == ["method.branches=", "method.branches=4"]
    assert bash("tal train --set extract.flow.b", tmp_path)[0] == "extract.flow.backend="
    many = bash("tal train --set runtime.", tmp_path)
    assert len(many) > 3 and all(key.startswith("runtime.") and key.endswith("=") for key in many)


def test_every_setting_can_be_completed(tmp_path: Path) -> None:
    offered = bash("tal train --set ", tmp_path)
    leaves = {key for key in config.keys(Settings) if not any(k.startswith(f"{key}.") for k in config.keys(Settings))}
    assert {f"{key}=" for key in leaves - {"method"}} <= set(offered)
    assert "method.beta=" in offered and "method.name=" not in offered


def test_run_folders_and_files_of_detections(tmp_path: Path) -> None:
    for name in ("stpn", "stpn-seed1"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "model.safetensors").touch()
    (tmp_path / "runs" / "half").mkdir()
    (tmp_path / "theirs.json").touch()
    assert bash("tal compare ", tmp_path) == ["runs/stpn", "runs/stpn-seed1", "theirs.json"]
    assert bash("tal compare runs/stpn-", tmp_path) == ["runs/stpn-seed1"]
    assert bash("tal compare th", tmp_path) == ["theirs.json"]


def test_stages_and_keys_of_the_cache(tmp_path: Path) -> None:
    entry = tmp_path / "cache" / "train" / "ab" / "abcdef0123456789"
    entry.mkdir(parents=True)
    (entry / "entry.json").write_text("{}")
    assert bash("tal cache ls --stage ", tmp_path) == ["train"]
    assert bash("tal cache why a", tmp_path) == ["abcdef012345"]
    assert bash("tal cache why b", tmp_path) == []


def test_fixed_words_are_those_of_the_library() -> None:
    assert set(completing.PROTOCOLS) == set(PROTOCOLS)
    fields = Settings.model_fields["extract"].annotation
    assert fields is not None
    assert set(completing.PRECISIONS) == set(get_args(fields.model_fields["precision"].annotation))
    assert set(completing.BUCKETS) == set(get_args(diagnosis.DiagnoseSettings.model_fields["buckets"].annotation))
    assert completing.methods("") == methods.available() == config.methods()
    assert completing.layouts("") == sorted({*feature_sets.importable(), *feature_sets.exportable()})
    assert completing.benchmarks("") == ["list", *bench.available()]


def test_zsh_and_fish_are_answered_in_their_own_way(tmp_path: Path) -> None:
    typed = "tal extract --decoder p"
    zsh = asking(tmp_path, {"_TAL_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": typed})
    assert zsh.stdout == "_arguments '*: :((\"pyav\"))'\n"
    fish = {"_TAL_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": typed}
    assert asking(tmp_path, {**fish, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}).stdout == "pyav\n"
    offers = asking(tmp_path, {**fish, "_TYPER_COMPLETE_FISH_ACTION": "is-args"})
    fish["_TYPER_COMPLETE_ARGS"] = "tal extract vid"
    assert (offers.returncode, asking(tmp_path, {**fish, "_TYPER_COMPLETE_FISH_ACTION": "is-args"}).returncode) == (
        0,
        1,
    )


def test_where_nothing_fits_zsh_completes_files(tmp_path: Path) -> None:
    asked = {"_TAL_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "tal extract vid"}
    assert asking(tmp_path, asked).stdout == "_files\n"


@pytest.mark.parametrize(
    "words", ["tal\nextract\n--backbone\n", "tal\ntrain\n--set\nmethod.", "tal\nextract\n--flow\n"]
)
def test_completion_loads_nothing_heavy(words: str) -> None:
    code = (
        "import sys\n"
        "from cli.app import main\n"
        "sys.argv = ['tal']\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'cv2', 'av', 'decord', 'numba', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    asked = {"_TAL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, check=True, capture_output=True, text=True
    )
    assert len(done.stdout.splitlines()) > 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_once_it_is_installed(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "tal"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli.app "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    here = {**os.environ, "HOME": str(tmp_path), "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    script = "tal --install-completion bash; source ~/.bashrc; COMP_WORDS=(tal extract --preset st); COMP_CWORD=3\n"
    script += '_tal_completion tal; echo "offered: ${COMPREPLY[*]}"; complete -p tal'
    here["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"  # bash runs a script: what is above it is not a shell
    done = subprocess.run(["bash", "-c", script], env=here, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == ["offered: stpn", "complete -o default -F _tal_completion tal"]


@pytest.mark.parametrize(
    ("shell", "mark"), [("zsh", "#compdef tal"), ("fish", "complete --command tal"), ("bash", "-F")]
)
def test_scripts_can_be_shown(tmp_path: Path, shell: str, mark: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.app", "--show-completion", shell],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert mark in done.stdout and "_TAL_COMPLETE" in done.stdout
