"""What the program's own source never does: run data, ask a shell, unpickle, unpack, render or connect unguarded."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("tal", "extract", "cli", "benchmarks", "docs/_tools")

ALWAYS = {
    "eval": "runs data",
    "exec": "runs data",
    "compile": "makes code of data",
    "__import__": "imports by name; use importlib with a name from the package's own folder",
    "pickle.load": "runs what is in the file",
    "pickle.loads": "runs what is in the file",
    "pickle.Unpickler": "runs what is in the file",
    "dill.load": "runs what is in the file",
    "joblib.load": "runs what is in the file",
    "marshal.load": "reads code",
    "marshal.loads": "reads code",
    "shelve.open": "unpickles",
    "os.system": "asks a shell",
    "os.popen": "asks a shell",
    "subprocess.getoutput": "asks a shell",
    "subprocess.getstatusoutput": "asks a shell",
    "pty.spawn": "asks a shell",
    "tempfile.mktemp": "names a file that another may make first",
    "yaml.load": "makes objects; use tal.strict_yaml",
    "yaml.load_all": "makes objects; use tal.strict_yaml",
    "yaml.full_load": "makes objects; use tal.strict_yaml",
    "yaml.unsafe_load": "makes objects; use tal.strict_yaml",
    "yaml.safe_load": "has no limits; use tal.strict_yaml",
    "np.load": "may unpickle; use tal.npy",
    "numpy.load": "may unpickle; use tal.npy",
    "torch.jit.load": "runs the program in the file",
    "torch.hub.load": "runs a repository's code",
    "torch.hub.load_state_dict_from_url": "unpickles what a server sends",
    "torch.package.PackageImporter": "runs the program in the file",
    "tarfile.open": "unpacks to names of the archive's choice",
    "shutil.unpack_archive": "unpacks to names of the archive's choice",
    "urlopen": "may follow an address to anywhere",
    "urllib.request.urlopen": "may follow an address to anywhere",
    "urlretrieve": "keeps what came, whatever it is",
    "ssl._create_unverified_context": "trusts any server",
}

ALLOWED = {
    # (file, what is called): why it is all right.
    ("extract/download.py", "urlopen"): "addresses of the table in extract/fetch.py; what came is verified",
    ("cli/completing.py", "yaml.safe_load"): "a file that travels with the package, read while a shell waits",
    ("benchmarks/extract_.py", "np.load"): "arrays of the test data; allow_pickle is off by default",
    ("benchmarks/_thumos.py", "np.load"): "arrays that a script just wrote; allow_pickle is off by default",
}  # fmt: skip


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def called(node: ast.Call) -> str:
    """Return the dotted name of what is called; empty for what has none."""
    parts, at = [], node.func
    while isinstance(at, ast.Attribute):
        parts.append(at.attr)
        at = at.value
    return ".".join([at.id, *parts[::-1]]) if isinstance(at, ast.Name) else f".{parts[0]}" if parts else ""


def given(node: ast.Call, name: str) -> object:
    """Return the constant that is given for a keyword; None if there is none."""
    value = next((word.value for word in node.keywords if word.arg == name), None)
    return value.value if isinstance(value, ast.Constant) else None


def problems(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield what a module calls that it should not, and why."""
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = called(node)
        name = imported[name] if imported.get(name, "") in ALWAYS else name
        if name in ALWAYS:
            yield name.rpartition(".")[2] if name.startswith("urllib") else name, ALWAYS[name]
        elif name.endswith(".extractall"):
            yield name, "unpacks to names of the archive's choice"
        elif name.endswith(".from_string"):
            yield name, "makes a template of data"
        elif name == "torch.load" and given(node, "weights_only") is not True:
            yield name, "unpickles without weights_only=True"
        elif name.rpartition(".")[2] == "Environment" and given(node, "autoescape") is not True:
            yield name, "templates that do not escape"
        elif given(node, "shell") is True:
            yield name, "asks a shell"
        elif given(node, "allow_pickle") is True:
            yield name, "unpickles"
        elif given(node, "verify") is False:
            yield name, "trusts any server"


def test_nothing_dangerous_is_called() -> None:
    found = {(place, name): why for place, tree in sources() for name, why in problems(tree)}
    assert {key: why for key, why in found.items() if key not in ALLOWED} == {}
    assert set(ALLOWED) - set(found) == set()  # what is no longer there need not be allowed


@pytest.mark.parametrize(
    "line",
    [
        "import pickle\npickle.load(file)",
        "from pickle import loads\nloads(data)",
        "from pickle import loads as read\nread(data)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=asked)",
        "np.load(path)",
        "np.lib.format.read_array(file, allow_pickle=True)",
        "yaml.load(text, yaml.Loader)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "zipfile.ZipFile(path).extractall(folder)",
        "archive.extractall()",
        "jinja2.Environment()",
        "Environment(autoescape=False)",
        "tempfile.mktemp()",
        "from urllib.request import urlopen\nurlopen(address)",
        "requests.get(address, verify=False)",
    ],
)
def test_the_search_finds(line: str) -> None:
    assert len(list(problems(ast.parse(line)))) == 1


@pytest.mark.parametrize(
    "line",
    ["torch.load(path, weights_only=True)", "re.compile(text)", "network.eval()", "Environment(autoescape=True)"],
)
def test_the_search_passes(line: str) -> None:
    assert not list(problems(ast.parse(line)))
