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


def sources(steps: list[Step]) -> set[str]:
    """What the folder of the build, not another stage, gives."""
    copied = [rest.split() for word, rest in steps if word == "COPY" and not rest.startswith("--from")]
    return {part for parts in copied for part in parts[:-1]}


@pytest.mark.parametrize("target", TARGETS)
def test_the_program_runs_as_a_user(target: str) -> None:
    assert steps(target)[-1] == ("USER", "tal")
    assert "useradd --no-create-home --home-dir /cache --uid 1000 tal" in " ".join(rest for _, rest in steps(target))
    assert not any(word in rest for _, rest in steps(target) for word in ("sudo", "chmod", "setuid"))


@pytest.mark.parametrize("target", TARGETS)
def test_any_user_may_write_to_the_volumes_and_has_a_home(target: str) -> None:
    """``--user "$(id -u)"`` names one who is in no list of users: without a name, without a home."""
    made = next(rest for word, rest in steps(target) if word == "RUN" and "useradd" in rest)
    assert made.endswith("install -d -m 1777 -o tal -g tal /data /cache")
    given = dict(part.split("=", 1) for word, rest in steps(target) if word == "ENV" for part in rest.split())
    assert given["HOME"] == given["TAL_CACHE"] == "/cache" and given["USER"] == "tal"


@pytest.mark.parametrize("target", TARGETS)
def test_the_program_is_the_entry_point_and_gets_signals(target: str) -> None:
    """In exec form: a shell in between would keep ``docker stop`` from the program."""
    assert json.loads(last(target, "ENTRYPOINT")) == ["tal"]
    assert last(target, "HEALTHCHECK").endswith('CMD ["tal", "doctor"]')
    assert not any(word == "STOPSIGNAL" for word, _ in steps(target))  # SIGTERM


@pytest.mark.parametrize("target", TARGETS)
def test_data_and_cache_are_volumes(target: str) -> None:
    assert json.loads(last(target, "VOLUME")) == ["/data", "/cache"]
    assert last(target, "WORKDIR") == "/data"


@pytest.mark.parametrize("target", TARGETS)
def test_dependencies_are_a_layer_below_the_code(target: str) -> None:
    """So that a change of the code sends and installs nothing else again."""
    copied = [rest for word, rest in steps(target) if word == "COPY"]
    assert copied[:2] == [
        f"--from={'cpu' if target == 'cpu' else 'gpu'}-dependencies /opt/venv /opt/venv",
        "--from=package /opt/tal /opt/tal",
    ]
    assert not sources(steps(target)), "images take from other stages only, so that no build tool or source stays"


def test_only_the_stage_of_the_package_sees_the_code() -> None:
    seen = {name: sources(own) for name, (_, own) in stages().items()}
    assert seen.pop("package") == {"."}
    assert set().union(*seen.values()) == {
        "constraints.txt",
        "pyproject.toml",
        "docker/dependencies",
        "docker/trim",
        "docker/opencv-cuda",
        "docker/wheels",
    }


def test_what_is_installed_is_pinned() -> None:
    assert "-c constraints.txt" in (ROOT / "docker" / "dependencies").read_text()
    for _, own in stages().values():
        for word, rest in own:
            if word == "RUN" and "pip install" in rest:
                assert "-c constraints.txt" in rest or "--no-deps" in rest


def test_the_base_is_slim_and_lists_are_not_kept() -> None:
    assert stages()["base"][0] == "debian:bookworm-slim"
    for _, own in stages().values():
        for word, rest in own:
            if word == "RUN" and "apt-get install" in rest:
                assert "--no-install-recommends" in rest and "apt-get clean && rm -rf /var/lib/apt/lists/*" in rest
            assert word != "ADD"  # fetches and unpacks
            assert "curl" not in rest and "wget" not in rest


def test_weights_can_be_fetched_over_https() -> None:
    """Debian's slim image has no certificates, and Python brings none."""
    assert any("ca-certificates" in rest for word, rest in stages()["base"][1] if word == "RUN")


@pytest.mark.parametrize(
    "name", ["Dockerfile", "compose.yaml", "docker/dependencies", "docker/trim", "docker/opencv-cuda", ".dockerignore"]
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

    command: Any = typer.main.get_command(build())
    context = command.make_context("tal", list(arguments))
    while hasattr(command, "commands"):
        found = command.get_command(context, arguments[0])
        assert found is not None, arguments
        command, arguments = found, arguments[1:]
        if not hasattr(command, "commands"):
            context = command.make_context(command.name, list(arguments), parent=context)
    return dict(context.params)


def test_the_parts_of_a_batch_are_all_of_it_each_on_its_own_gpu() -> None:
    """Not with ``auto``: every part would take the first GPU, and one whose GPU is missing the CPU."""
    services = compose()["services"]
    assert all(parsed([str(word) for word in service["command"]]) for service in services.values())
    parts = [parsed(services[f"part-{i}"]["command"]) for i in range(4)]
    assert [(part["part"], part["device"]) for part in parts] == [(f"{i}/4", f"cuda:{i}") for i in range(4)]
    assert len({str(part["out"]) for part in parts}) == 1


def told(text: str, start: str) -> list[list[str]]:
    """The words of every command in a text that begins so, continued lines joined."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line.strip("# "), comments=True) for line in lines if line.strip("# ").startswith(start)]


@pytest.mark.parametrize("page", ["Dockerfile", "README.md", "SECURITY.md", "docs/guides/docker.md"])
def test_commands_in_containers_are_commands(page: str) -> None:
    """What follows the image's name, which is the last word 'tal' that is no option's."""
    lines = told((ROOT / page).read_text(), "docker run")
    assert lines
    for words in lines:
        after = words[words.index("tal") + 1 :]
        assert after == ["--version"] or parsed([re.sub(r"\$\w+", "1", word) for word in after]), words
        assert "--rm" in words, words


@pytest.mark.parametrize("page", ["Dockerfile", "README.md", "docs/guides/docker.md"])
def test_targets_and_arguments_that_are_told_are_there(page: str) -> None:
    arguments = {rest.partition("=")[0] for _, own in stages().values() for word, rest in own if word == "ARG"}
    lines = told((ROOT / page).read_text(), "docker build")
    assert lines
    for words in lines:
        assert words[words.index("--target") + 1] in stages(), words
        given = {words[i + 1].partition("=")[0] for i, word in enumerate(words) if word == "--build-arg"}
        assert given <= arguments, words
