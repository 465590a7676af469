"""The image as its Dockerfile and compose.yaml describe it: who runs, what is kept, what gets in, what is called."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TARGETS = ("cpu", "gpu", "opencv-cuda")
SECRET = re.compile(
    r"(?i)password|passwd|secret|token|api_?key|BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}|//[^/\s]+:[^/\s]+@"
)

Step = tuple[str, str]


def lines() -> list[Step]:
    """The Dockerfile's instructions, each with all that follows it."""
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    whole = (line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines() if line.strip())
    return [(word.upper(), " ".join(rest.split())) for word, rest in whole]


def stages() -> dict[str, tuple[str, list[Step]]]:
    """Each stage's base and own instructions."""
    found: dict[str, tuple[str, list[Step]]] = {}
    for word, rest in lines():
        if word == "FROM":
            base, _, name = re.split(r"\s+", rest)
            own: list[Step] = []
            found[name] = (base, own)
        else:
            own.append((word, rest))
    return found


def steps(target: str) -> list[Step]:
    """All instructions that make a target, those of its bases first."""
    base, own = stages()[target]
    return [*(steps(base) if base in stages() else []), *own]


def last(target: str, word: str) -> str:
    return next(rest for found, rest in reversed(steps(target)) if found == word)


@pytest.mark.parametrize("target", TARGETS)
def test_the_program_runs_as_a_user(target: str) -> None:
    assert last(target, "USER") == "tal" and steps(target)[-1] == ("USER", "tal")
    made = next(rest for word, rest in steps(target) if word == "RUN" and "useradd" in rest)
    assert "--uid 1000" in made and "chown tal:tal /data /cache" in made
    assert not any(word in rest for _, rest in steps(target) for word in ("sudo", "chmod 777", "chmod a+w", "setuid"))


@pytest.mark.parametrize("target", TARGETS)
def test_the_program_is_the_entry_point_and_gets_signals(target: str) -> None:
    """In exec form: a shell in between would keep ``docker stop`` from the program."""
    assert json.loads(last(target, "ENTRYPOINT")) == ["tal"]
    assert last(target, "HEALTHCHECK").endswith('CMD ["tal", "doctor"]')


@pytest.mark.parametrize("target", TARGETS)
def test_data_and_cache_are_volumes(target: str) -> None:
    assert json.loads(last(target, "VOLUME")) == ["/data", "/cache"]
    assert last(target, "WORKDIR") == "/data"
    assert any(word == "ENV" and "TAL_CACHE=/cache" in rest for word, rest in steps(target))


@pytest.mark.parametrize("target", TARGETS)
def test_dependencies_come_before_the_code(target: str) -> None:
    """So that a change of the code installs nothing again, and what is installed is pinned."""
    made = steps(target)
    code = made.index(("COPY", ". ."))
    before = [rest for word, rest in made[:code] if word == "RUN"]
    after = [rest for word, rest in made[code:] if word == "RUN"]
    assert any("docker/dependencies" in rest for rest in before)
    assert after and all("--no-deps" in rest for rest in after)
    assert "-c constraints.txt" in (ROOT / "docker" / "dependencies").read_text()
    assert all("-c constraints.txt" in rest for rest in before if re.search(r"(?<!uv )\bpip install", rest))


def test_no_code_is_copied_into_the_base() -> None:
    """Stages that are built once hold lists of packages and scripts, nothing that changes every day."""
    copied = [rest.split() for name in stages() if name not in TARGETS for w, rest in stages()[name][1] if w == "COPY"]
    sources = {part for parts in copied for part in parts[:-1] if not part.startswith("--from")}
    assert sources <= {"constraints.txt", "pyproject.toml", "docker/dependencies", "docker/opencv-cuda", "/wheels"}


def test_the_base_is_slim_and_lists_are_not_kept() -> None:
    assert stages()["base"][0] == "debian:bookworm-slim"
    for _, own in stages().values():
        for word, rest in own:
            if word == "RUN" and "apt-get install" in rest:
                assert "--no-install-recommends" in rest and "rm -rf /var/lib/apt/lists/*" in rest
            assert word != "ADD"  # fetches and unpacks
            assert "curl" not in rest and "wget" not in rest


@pytest.mark.parametrize(
    "name", ["Dockerfile", "compose.yaml", "docker/dependencies", "docker/opencv-cuda", ".dockerignore"]
)
def test_there_is_no_secret(name: str) -> None:
    assert SECRET.search((ROOT / name).read_text()) is None


def test_the_search_for_secrets_finds() -> None:
    for text in ("ENV API_KEY=x", "https://me:pass@host/", "AKIAABCDEFGHIJKLMNOP", "ARG TOKEN"):
        assert SECRET.search(text)


def test_what_gets_into_the_image_is_a_white_list() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "**"
    allowed = {rule[1:].split("/")[0].rstrip("*") for rule in rules[1:] if rule.startswith("!")}
    assert {"tal", "extract", "cli", "configs", "benchmarks", "docker", "pyproject.toml", "constraints.txt"} <= allowed
    assert all((ROOT / name).exists() for name in allowed)
    assert not allowed & {"tests", "docs", ".git", ".venv", ".env", "demo"}


def test_scripts_of_the_image_stop_at_the_first_error() -> None:
    for path in (ROOT / "docker").iterdir():
        if path.is_file() and path.read_text().startswith("#!"):
            assert re.search(r"^set -eu", path.read_text(), re.MULTILINE), path.name


def compose() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return tree


def test_services_run_as_a_user_and_only_read_the_videos() -> None:
    for service in compose()["services"].values():
        assert service["user"] == "${UID:-1000}:${GID:-1000}" and not service.get("privileged")
        videos = next(volume for volume in service["volumes"] if "/data/videos" in volume)
        assert videos.endswith(":ro")
        assert service["build"]["target"] in TARGETS and service["init"] is True


def parsed(arguments: list[str]) -> dict[str, Any]:
    """What the command line makes of arguments, without running a command."""
    import typer.main

    from cli.app import build

    root: Any = typer.main.get_command(build())
    context = root.make_context("tal", list(arguments))
    command = root.get_command(context, arguments[0])
    assert command is not None, arguments
    return dict(command.make_context(arguments[0], list(arguments[1:]), parent=context).params)


def test_the_commands_of_services_are_commands() -> None:
    parts = {}
    for name, service in compose()["services"].items():
        command = service["command"]
        assert isinstance(command, list)
        found = parsed([str(word) for word in command])
        parts[name] = found.get("part")
    assert [parts[f"part-{i}"] for i in range(4)] == ["0/4", "1/4", "2/4", "3/4"]


def test_the_commands_in_the_dockerfile_are_commands() -> None:
    told = re.findall(r"^#\s+docker run .* tal (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert told and all(parsed(shlex.split(line)) for line in told)
