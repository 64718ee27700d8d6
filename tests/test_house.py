"""The architecture, kept by machine: where imports point, what they load, how code reads."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple, Union

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ppcls"
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted([*ROOT.glob("tools/*.py"), *ROOT.glob("deploy/*.py")])
WRITER = ROOT / "tools/model_zoo.py"
"""It writes pages of the documents, which are not installed: more than the command line does."""

LAYERS = [
    {"cli", "commands", "__main__"},
    {"api", "benchmark", "checks", "loading", "report"},
    {"calibration", "engine", "exporters", "inference", "quantisation"} | {"transfer"},
    {"arch", "weights", "data", "loss", "metric", "optimizer"},
    {"kernels"},
    {"config", "registry", "checking", "labels", "runtime", "errors", "files", "logs", "text"}
    | {"own_parts", "progress", "signatures", "web", "yaml_text"},
]
"""From the command down to the foundation: imports point down, or stay in their layer."""

STRANGERS = {("engine", "inference"), ("inference", "engine"), ("inference", "exporters")}
STRANGERS |= {("inference", "quantisation"), ("quantisation", "engine")}
STRANGERS |= {("inference", "calibration"), ("calibration", "engine")}
"""Packages of a layer that must not know each other: serving needs no training code."""

LIGHT = [
    "ppcls",
    "ppcls.arch.catalogue",
    "ppcls.calibration",
    "ppcls.cli",
    "ppcls.config",
    "ppcls.data.transforms",
    "ppcls.inference",
    "ppcls.loading",
    "ppcls.quantisation",
    "ppcls.registry",
]
HEAVY = ["PIL", "matplotlib", "onnxruntime", "openvino", "paddle", "pandas", "scipy", "sklearn"]
HEAVY += ["nncf", "onnx", "torch", "tqdm", "urllib3", "visualdl"]

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def tree(file: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(file.read_text("utf-8"), str(file))


def package(file: Path) -> str:
    """The package or module directly inside ppcls that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].replace(".py", "")


def imported_modules(node: ast.AST) -> Iterator[str]:
    """The full names of what a file imports, wherever the import stands in it."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, (
                f"line {child.lineno}: relative imports hide which package is meant"
            )
            yield from (f"{child.module}.{alias.name}" for alias in child.names)


def imported_packages(file: Path) -> Set[str]:
    """The other packages and modules of ppcls that a file imports from."""
    names = [name.split(".") for name in imported_modules(tree(file))]
    found = {name[1] for name in names if name[0] == "ppcls" and len(name) > 1}
    return {name for name in found if name != package(file) and not name.startswith("__")}


def functions(file: Path) -> Iterator[Function]:
    """Every function and method of a file, nested ones too."""
    for node in ast.walk(tree(file)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def lines_of_code(function: Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    total = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        total -= (function.body[0].end_lineno or 0) - function.body[0].lineno + 1
    return total


def place(file: Path, node: ast.AST) -> str:
    """The file and line of a node, as an editor understands them."""
    return f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def test_every_package_is_in_a_layer() -> None:
    assert {package(file) for file in FILES} - {"__init__"} <= set.union(*LAYERS)


@pytest.mark.slow
def test_imports_point_down() -> None:
    layer = {name: level for level, names in enumerate(LAYERS) for name in names}
    wrong = [
        f"{file.relative_to(ROOT)} imports ppcls.{target}"
        for file in FILES
        if package(file) != "__init__"
        for target in sorted(imported_packages(file))
        if layer[target] < layer[package(file)] or (package(file), target) in STRANGERS
    ]
    assert wrong == []


def test_scripts_call_the_command_line_only() -> None:
    for file in set(SCRIPTS) - {WRITER}:
        names = [name for name in imported_modules(tree(file)) if name.startswith("ppcls")]
        assert names == ["ppcls.cli.main"], file


@pytest.mark.slow
def test_data_and_serving_do_without_training() -> None:
    wrong = []
    for file in FILES:
        names = list(imported_modules(tree(file)))
        if package(file) == "data":
            wrong += [f"{file}: {name}" for name in names if name.split(".")[0] == "paddle"]
        if package(file) == "inference":
            data = [name for name in names if name.startswith("ppcls.data")]
            wrong += [f"{file}: {name}" for name in data if ".transforms" not in name]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("name", LIGHT)
def test_import_loads_nothing_heavy(name: str) -> None:
    code = f"import sys, {name}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.slow
def test_functions_are_short_and_take_few_arguments() -> None:
    lengths: Dict[str, int] = {}
    crowded = []
    for file in FILES:
        for function in functions(file):
            lengths[f"{place(file, function)} {function.name}"] = lines_of_code(function)
            # What a YAML file can say has as many names as it needs; everything else has few.
            if function.name != "__init__" and len(function.args.args) > 9:
                crowded.append(place(file, function))
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}
    assert crowded == []
    assert statistics.median(lengths.values()) <= 8
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= 25


SAME_NAME = {"add_arguments", "main", "run", "load"}
"""Functions that every command has; and `ppcls.load`, beside `ppcls.weights.load`."""


@pytest.mark.slow
def test_no_two_public_functions_have_the_same_name() -> None:
    places: Dict[str, List[str]] = {}
    for file in FILES:
        for node in tree(file).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(place(file, node))
    doubled = {name: found for name, found in places.items() if len(found) > 1}
    assert {name: found for name, found in doubled.items() if name not in SAME_NAME} == {}


def calls(file: Path) -> Iterator[Tuple[ast.Call, str]]:
    """Every call of a file with the dotted name that is called."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


RUNS_WHAT_IT_READS = re.compile(
    r"^(eval|exec|compile|__import__|yaml\.(unsafe_|full_)?load(_all)?"
    r"|paddle\.load|torch\.load|os\.(system|popen))$"
)
PICKLERS = {"pickle", "cPickle", "_pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}


def safe_loaders(file: Path) -> Set[str]:
    """The classes of a file that extend PyYAML's safe loader."""
    classes = [node for node in ast.walk(tree(file)) if isinstance(node, ast.ClassDef)]
    return {node.name for node in classes if "yaml.SafeLoader" in map(ast.unparse, node.bases)}


def is_safe(call: ast.Call, file: Path) -> bool:
    """Whether a call to yaml.load uses a safe loader."""
    loaders = [ast.unparse(word.value) for word in call.keywords if word.arg == "Loader"]
    return bool(loaders) and loaders[0] in {"yaml.SafeLoader", *safe_loaders(file)}


@pytest.mark.slow
def test_nothing_runs_what_it_reads() -> None:
    found = [(file, call, name) for file in [*FILES, *SCRIPTS] for call, name in calls(file)]
    wrong = [
        f"{place(file, call)}: {name}"
        for file, call, name in found
        if RUNS_WHAT_IT_READS.match(name) and not is_safe(call, file)
    ]
    wrong += [
        f"{place(file, call)}: {word.arg}"
        for file, call, _ in found
        for word in call.keywords
        if word.arg in ("allow_pickle", "shell") and ast.unparse(word.value) != "False"
    ]
    assert wrong == []


@pytest.mark.slow
def test_pickles_are_read_in_one_place_that_accepts_arrays_only() -> None:
    readers = [
        str(file.relative_to(PACKAGE))
        for file in FILES
        if {name.split(".")[0] for name in imported_modules(tree(file))} & PICKLERS
    ]
    assert readers == ["weights/formats/pickles.py"]


SETTERS = {
    "arch/layers.py": "folds a normalisation into a convolution",
    "engine/ema.py": "keeps the moving average",
    "optimizer/core.py": "restores the state of an optimizer",
    "weights/network_weights.py": "ppcls.weights.load",
}
"""The files that set arrays, and what for; weights come to a network by the last one only."""


@pytest.mark.slow
def test_networks_are_given_their_weights_in_one_place() -> None:
    setting = {
        str(file.relative_to(PACKAGE))
        for file in FILES
        for _, name in calls(file)
        if name.rpartition(".")[2] in ("set_value", "set_state_dict", "set_dict")
    }
    assert setting == SETTERS.keys()


def test_nothing_is_left_to_do() -> None:
    marks = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")
    files = [*FILES, *SCRIPTS, *(ROOT / "tests").rglob("*.py"), *ROOT.glob("configs/**/*.yaml")]
    left = [str(file.relative_to(ROOT)) for file in files if marks.search(file.read_text("utf-8"))]
    assert left == []


def public(nodes: List[ast.stmt]) -> Iterator[Union[Function, ast.ClassDef]]:
    """Public classes and functions, and the public methods of public classes."""
    for node in nodes:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if node.name.startswith("_") or "overload" in map(ast.unparse, node.decorator_list):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body)


@pytest.mark.slow
def test_every_public_name_has_a_docstring() -> None:
    silent = [
        f"{place(file, node)} {node.name}"
        for file in FILES
        for node in public(tree(file).body)
        # What a layer's `forward` does is what the docstring of its class says.
        if node.name != "forward" and not ast.get_docstring(node)
    ]
    silent += [str(file.relative_to(ROOT)) for file in FILES if not ast.get_docstring(tree(file))]
    assert silent == []


def test_every_source_file_delays_annotations() -> None:
    wrong = [
        str(file.relative_to(ROOT))
        for file in FILES
        if len(tree(file).body) > 1 and "from __future__ import annotations" not in file.read_text()
    ]
    assert wrong == []


def test_source_files_have_test_files_in_the_same_place() -> None:
    folders = {file.parent.relative_to(PACKAGE) for file in FILES} - {Path(".")}
    untested = [
        str(folder)
        for folder in sorted(folders)
        if folder.parts[0] != "commands" and not (ROOT / "tests" / folder.parts[0]).is_dir()
    ]
    assert untested == []


@pytest.mark.slow
def test_yaml_is_read_in_one_place_within_limits() -> None:
    readers = {
        str(file.relative_to(PACKAGE))
        for file in FILES
        for _, name in calls(file)
        if re.fullmatch(r"yaml\.\w*(load|parse|scan|compose)\w*", name)
    }
    assert readers == set()
