"""The shipped schemas: valid, described, made from the settings, printed by the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from small import tal as command

from tal import methods, schemas
from tal.errors import ConfigError
from tal.files import shipped
from tal.schemas.settings import attributes, config_schema
from tal.settings import ExtractSettings


def test_the_shipped_schema_of_settings_is_what_the_settings_say() -> None:
    assert schemas.load("config") == config_schema()


def properties(tree: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every property of a schema and where it stands."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == "properties" and isinstance(value, dict):
                yield from ((f"{at}.{key}", inner) for key, inner in value.items())
            yield from properties(value, f"{at}.{name}")
    elif isinstance(tree, list):
        for i, value in enumerate(tree):
            yield from properties(value, f"{at}[{i}]")


@pytest.mark.parametrize("name", schemas.names())
def test_schemas_are_valid_named_and_described(name: str) -> None:
    schema = schemas.load(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:tal:schema:{name}"
    assert schema["title"] and schema["description"].endswith(".")
    silent = [at for at, one in properties(schema) if "description" not in one]
    assert not silent
    assert len(list(properties(schema))) > 1


def test_descriptions_come_from_the_docstrings() -> None:
    words = attributes(ExtractSettings)
    assert words["short_side"] == "Frames are scaled so that their shorter side has this many px (DeepMind: 256)."
    assert words["tail"].startswith("drop leaves out frames") and words["tail"].endswith("always padded to one.")
    assert words.keys() == ExtractSettings.model_fields.keys()
    assert schemas.load("config")["$defs"]["ExtractSettings"]["properties"]["tail"]["description"] == words["tail"]


def test_every_method_has_its_hyper_parameters() -> None:
    known = schemas.load("config")["$defs"]
    assert {name for name in known if name.startswith("method_")} == {f"method_{name}" for name in methods.available()}
    assert known["method_stpn"]["properties"]["beta"]["default"] == 1e-4


def test_an_unknown_schema_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        schemas.load("detection")
    assert str(caught.value) == "unknown schema 'detection'; did you mean 'detections'?"


def test_the_command_prints_and_lists(tmp_path: Path) -> None:
    printed = command("schema", "truth", cwd=tmp_path, cache=tmp_path)
    assert json.loads(printed.stdout) == schemas.load("truth")
    listed = json.loads(command("schema", "--json", cwd=tmp_path, cache=tmp_path).stdout)
    assert {"name": "labels", "title": "Video-level labels"} in listed
    assert [one["name"] for one in listed] == schemas.names()
    assert "Header of a feature shard" in command("schema", cwd=tmp_path, cache=tmp_path).stdout
    wrong = command("schema", "labls", cwd=tmp_path, cache=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr == "tal: unknown schema 'labls'; did you mean 'labels'?\n"


SHIPPED = [*shipped("configs").glob("methods/*.yaml"), *shipped("configs").glob("extract/*.yaml")]
SHIPPED += [*shipped("configs").glob("datasets/*/*.yaml"), shipped("configs") / "demo.yaml"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shipped_configuration_fits(path: Path) -> None:
    Draft202012Validator(schemas.load("config")).validate(yaml.safe_load(path.read_text()))
