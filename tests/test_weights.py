"""Which weight file is used, and what is said when there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from extract import weights
from tal.errors import ConfigError, WeightsError
from tal.progress import Silent


@pytest.fixture(autouse=True)
def _no_weights_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAL_WEIGHTS", raising=False)


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"not read")
    return folder


def resolve(spec: str | Path, streams: tuple[str, ...], root: Path) -> dict[str, tuple[Path, str]]:
    found = weights.resolve(str(spec), streams, Silent(), root)
    assert all(source.stream == stream for stream, source in found.items())
    return {stream: (source.path, source.origin) for stream, source in found.items()}


def test_random_spec() -> None:
    assert [weights.parse_random(spec) for spec in ("random:0", "random:71", "default", "a/random:1")] == [
        0,
        71,
        None,
        None,
    ]


@pytest.mark.parametrize("spec", ["random", "random:", "random:-1", "random:x", "random:1.5"])
def test_random_spec_without_a_seed(spec: str) -> None:
    with pytest.raises(ConfigError) as error:
        weights.parse_random(spec)
    assert str(error.value) == f"weights '{spec}': the seed is a whole number from 0; write random:SEED, e.g. random:0"


def test_named_files(tmp_path: Path) -> None:
    a, b = put(tmp_path, "a.pt", "b,c.pt") / "a.pt", tmp_path / "b,c.pt"
    assert resolve(f"rgb={b},flow={a}", ("rgb", "flow"), tmp_path) == {"rgb": (b, "given"), "flow": (a, "given")}
    assert resolve(f"rgb={b},flow={a}", ("flow",), tmp_path) == {"flow": (a, "given")}
    assert resolve(a, ("flow",), tmp_path) == {"flow": (a, "given")}


def test_a_folder_is_searched_in_order_of_preference(tmp_path: Path) -> None:
    folder = put(tmp_path / "w", "i3d_rgb.safetensors", "model_rgb.pth", "i3d_flow.safetensors", "model_rgb.txt")
    found = resolve(folder, ("rgb", "flow"), tmp_path)
    assert {stream: path.name for stream, (path, _) in found.items()} == {
        "rgb": "model_rgb.pth",
        "flow": "i3d_flow.safetensors",
    }
    assert found["rgb"][1] == f"found in {folder}"


def test_a_tensorflow_checkpoint_is_named_by_its_prefix_or_any_of_its_files(tmp_path: Path) -> None:
    names = ["model.ckpt.index", "model.ckpt.data-00000-of-00001", "model.ckpt.meta"]
    index = put(tmp_path / "v1.5", *names) / names[0]
    for name in ["model.ckpt", *names]:
        given = index.with_name(name)
        assert resolve(given, ("rgb",), tmp_path) == {"rgb": (index, "given")}
        assert resolve(f"flow={given},rgb={given}", ("rgb",), tmp_path) == {"rgb": (index, "given")}
    with pytest.raises(WeightsError, match="no such file or folder"):
        resolve(index.with_name("model"), ("rgb",), tmp_path)


def test_the_folder_of_deepminds_checkpoints(tmp_path: Path) -> None:
    for stream in ("rgb", "flow"):
        put(tmp_path / f"{stream}_imagenet", "model.ckpt.index", "model.ckpt.data-00000-of-00001")
    found = resolve(tmp_path, ("rgb", "flow"), tmp_path)
    assert [path for path, _ in found.values()] == [
        tmp_path / f"{stream}_imagenet" / "model.ckpt.index" for stream in ("rgb", "flow")
    ]


def test_default_looks_in_the_named_folder_then_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = put(tmp_path / "own", "model_rgb.pth")
    cached = put(tmp_path / "cache" / "weights", "rgb_imagenet.pt", "flow_imagenet.pt")
    both = ("rgb", "flow")
    assert {path for path, _ in resolve("default", both, tmp_path / "cache").values()} == set(cached.iterdir())
    monkeypatch.setenv("TAL_WEIGHTS", str(own))
    found = resolve("default", both, tmp_path / "cache")
    assert {stream: path for stream, (path, _) in found.items()} == {
        "rgb": own / "model_rgb.pth",
        "flow": cached / "flow_imagenet.pt",
    }


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("rgb=a.pt", ConfigError, "weights 'rgb=a.pt' name no file for stream 'flow'; write rgb=FILE,flow=FILE"),
        (
            "rgb=a.pt,flow=no.pt",
            WeightsError,
            "weights for stream 'flow': no such file: no.pt; name one with --weights flow=FILE",
        ),
        ("a.pt", ConfigError, "weights 'a.pt' is one file for 2 streams; write rgb=FILE,flow=FILE"),
        (
            "defualt",
            WeightsError,
            "weights 'defualt': no such file or folder; write default, FILE, FOLDER, rgb=FILE,flow=FILE or random:SEED",
        ),
        (
            "half",
            WeightsError,
            "half: no weights for stream 'flow'; known names are flow_imagenet.pt, model_flow.pth,"
            " i3d_flow.safetensors, flow_imagenet/model.ckpt.index; or write rgb=FILE,flow=FILE",
        ),
    ],
)
def test_specs_that_name_no_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, kind: type[Exception], message: str
) -> None:
    put(tmp_path, "a.pt")
    put(tmp_path / "half", "rgb_imagenet.pt")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as error:
        resolve(spec, ("rgb", "flow"), tmp_path)
    assert str(error.value) == message


def test_the_named_folder_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAL_WEIGHTS", str(tmp_path / "gone"))
    with pytest.raises(WeightsError, match=r"^TAL_WEIGHTS names '.*gone', which is not a folder; correct or unset it$"):
        resolve("default", ("rgb",), tmp_path)


def test_finding_weights_needs_no_pytorch(tmp_path: Path) -> None:
    put(tmp_path / "weights", "rgb_imagenet.pt")
    code = (
        "import sys; from pathlib import Path; from extract import weights; from tal.progress import Silent;"
        f"weights.resolve('default', ['rgb'], Silent(), Path({str(tmp_path)!r})); weights.parse_random('random:1');"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[1]).returncode == 0
