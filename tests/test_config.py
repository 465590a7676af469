"""Settings: what wins, and what a wrong one is told."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tal import config
from tal.errors import ConfigError
from tal.files import shipped
from tal.settings import tiou_range


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("train: {lr: 1e-3, steps: 10}\nlocalize:\n  nms: 0.3\n")
    settings = config.load(files=[file], sets=["train.steps=20"], options={"train.seed": 7, "train.fusion": None})
    assert (settings.train.lr, settings.train.steps, settings.train.seed) == (1e-3, 20, 7)
    assert settings.localize.nms == 0.3
    assert settings.train.n_snippets == 400  # shipped YAML of the default method
    assert settings.train.fusion == "late"  # a None option is not given


def test_scientific_notation_is_a_number_although_yaml_reads_text() -> None:
    assert config.load(sets=["train.lr=1e-4"]).train.lr == 1e-4


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["train.lrr=1"], "--set: unknown key 'train.lrr'; did you mean 'train.lr'?"),
        (["extrakt.fps=1"], "--set: unknown key 'extrakt'; did you mean 'extract'?"),
        (["train.lr=fast"], "--set: train.lr: input should be a valid number"),
        (["train.lr"], "--set 'train.lr': write key=value, e.g. --set train.lr=1e-4"),
        (["extract.crop=300"], "--set: extract: crop (300 px) is larger than short_side (256 px)"),
        (["extract.fps=0"], "--set: extract.fps: 0 is not a rate between 0 and 1000"),
        (["evaluate.tiou=2"], "--set: evaluate.tiou: tIoU thresholds lie in (0, 1], not 2"),
        (["method.name=stpm"], "unknown method 'stpm'; did you mean 'stpn'?"),
    ],
)
def test_a_wrong_setting_gets_one_line_with_its_place(sets: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(sets=sets)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_wrong_key_in_a_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("train: {stepz: 10}")
    with pytest.raises(ConfigError, match=r"mine\.yaml: unknown key 'train\.stepz'; did you mean 'train\.steps'\?"):
        config.load(files=[file], sets=["train.lr=1e-4"])


def test_a_file_that_is_no_mapping_or_no_yaml_or_not_there(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("- a\n- b")
    with pytest.raises(ConfigError, match="expected a mapping"):
        config.load(files=[wrong])
    wrong.write_text("a: [1,\nb: 2")
    with pytest.raises(ConfigError, match=r"wrong\.yaml, line 2: not YAML"):
        config.load(files=[wrong])
    with pytest.raises(ConfigError, match="No such file"):
        config.load(files=[tmp_path / "none.yaml"])


def test_yaml_tags_execute_nothing(tmp_path: Path) -> None:
    file = tmp_path / "evil.yaml"
    file.write_text(f"train: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']")
    with pytest.raises(ConfigError):
        config.load(files=[file])
    assert not (tmp_path / "made").exists()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.load().train.lr = 1.0  # type: ignore[misc]


def test_rates_are_exact() -> None:
    assert config.load(sets=["extract.fps=30000/1001"]).extract.fps == Fraction(30000, 1001)
    assert config.load(sets=["extract.fps=29.97"]).extract.fps == Fraction(2997, 100)


def test_tiou_ranges_include_both_ends() -> None:
    assert tiou_range("0.1:0.7:0.1") == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    assert tiou_range("0.5:0.95:0.05")[-1] == 0.95
    assert tiou_range(0.5) == (0.5,)


def test_every_shipped_yaml_is_valid_and_named_after_its_method() -> None:
    for name in config.methods():
        assert config.load(method=name).method["name"] == name


def test_settings_that_fit_only_together_may_come_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text("extract: {short_side: 64}")
    for sets in (["extract.short_side=64", "extract.crop=0"], ["extract.crop=0", "extract.short_side=64"]):
        assert config.load(sets=sets).extract.short_side == 64
    assert config.load(files=[file], sets=["extract.crop=32"]).extract.crop == 32


def test_a_preset_lies_under_files_and_settings() -> None:
    plain = config.load(preset="cmcs").extract
    assert (plain.size, plain.crop, plain.stride, plain.flow.preset) == ((340, 256), 224, 4, "denseflow")
    changed = config.load(preset="cmcs", sets=["extract.stride=16"], options={"extract.fps": "25"}).extract
    assert (changed.stride, changed.fps, changed.size) == (16, Fraction(25), (340, 256))


@pytest.mark.parametrize("name", config.presets())
def test_presets_name_every_convention(name: str) -> None:
    """A convention that leaves something to defaults would change with them."""
    tree = config.read_yaml(shipped("configs") / "extract" / f"{name}.yaml")["extract"]
    assert {"fps", "crop", "crops", "length", "stride", "tail", "flow"} <= set(tree)
    assert ("size" in tree) != ("short_side" in tree)
    assert config.load(preset=name).extract.streams == ("rgb", "flow")


def test_unknown_preset() -> None:
    with pytest.raises(ConfigError, match=r"^unknown preset 'cmc'.*'cmcs'"):
        config.load(preset="cmc")


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["extract.size=[200, 256]"], "--set: extract: crop (224 px) is larger than size (200 px)"),
        (["extract.crops=ten", "extract.crop=0"], "--set: extract: crops 'ten' need a size; set crop, such as 224"),
    ],
)
def test_crops_must_fit(sets: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(sets=sets)
    assert str(caught.value) == message
