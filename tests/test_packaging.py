"""What `pip install` gets: names, ranges, extras, one version, and a wheel that can train."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict, List

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]


def read_setup(monkeypatch: pytest.MonkeyPatch) -> Dict[str, Any]:
    """Run setup.py with a `setup` that only listens."""
    setuptools = pytest.importorskip("setuptools")
    heard: Dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", heard.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"), run_name="setup")
    return heard


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Dict[str, Any]:
    """The arguments that setup.py gives."""
    return read_setup(monkeypatch)


def requirement_lines(name: str) -> List[str]:
    """The lines of a requirements file that say something."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def oldest(python: str) -> Dict[str, str]:
    """The versions that requirements/oldest.txt names for a Python."""
    environment = {**default_environment(), "python_version": python}
    found = map(Requirement, requirement_lines("requirements/oldest.txt"))
    return {
        item.name.lower(): str(item.specifier)[2:]
        for item in found
        if item.marker is None or item.marker.evaluate(environment)
    }


def all_requirements(package: Dict[str, Any]) -> List[Requirement]:
    """Core and extras together."""
    extras = [line for lines in package["extras_require"].values() for line in lines]
    return [Requirement(line) for line in [*package["install_requires"], *extras]]


def test_setup_takes_its_requirements_from_the_one_file(package: Dict[str, Any]) -> None:
    assert package["install_requires"] == requirement_lines("requirements.txt")


def test_nothing_is_pinned(package: Dict[str, Any]) -> None:
    pinned = [
        str(item)
        for item in all_requirements(package)
        if any(part.operator in ("==", "===") for part in item.specifier)
    ]
    assert pinned == []


def test_core_leaves_the_choice_of_paddle_to_the_user(package: Dict[str, Any]) -> None:
    names = {Requirement(line).name.lower() for line in package["install_requires"]}
    assert not names & {"paddlepaddle", "paddlepaddle-gpu", "visualdl", "onnxruntime", "openvino"}
    extras = {"cpu", "gpu", "onnx", "openvino", "int8", "nncf", "loadgen", "visualdl"}
    extras |= {"jpeg", "completion", "tensorboard", "wandb", "tune", "demo", "dev"}
    assert extras == set(package["extras_require"])


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("numpy", ["1.24.0", "1.26.4", "2.4.6", "2.5.5"], ["1.23.5"]),
        ("opencv-python-headless", ["4.6.0.66", "5.0.0.93"], ["4.5.5.64"]),
        ("paddlepaddle", ["2.6.2", "3.1.0", "3.3.1"], ["2.6.1", "3.0.0"]),
        ("paddlepaddle-gpu", ["2.6.2", "3.1.0", "3.3.1"], ["2.6.1", "3.0.0"]),
    ],
)
def test_ranges_hold_the_versions_that_are_promised(
    package: Dict[str, Any], name: str, inside: List[str], outside: List[str]
) -> None:
    (item,) = {item for item in all_requirements(package) if item.name == name}
    assert [version for version in inside + outside if item.specifier.contains(version)] == inside


def test_a_demonstration_needs_no_gpu_and_brings_weights(package: Dict[str, Any]) -> None:
    from ppcls.weights.hub.records import find_record

    extras = package["extras_require"]
    assert set(extras["cpu"]) < set(extras["demo"])
    brought = {Requirement(line).name for line in set(extras["demo"]) - set(extras["cpu"])}
    assert brought == {find_record(f"EfficientNetLite{size}").install for size in "02"}
    assert brought < {Requirement(line).name for line in extras["dev"]}


@pytest.mark.parametrize("python", PYTHONS[:-1])
def test_oldest_versions_are_the_lower_ends_of_the_ranges(
    package: Dict[str, Any], python: str
) -> None:
    versions = oldest(python)
    for item in all_requirements(package):
        if item.name.lower() in versions:
            assert item.specifier.contains(versions[item.name.lower()]), item


def test_every_core_range_is_tested_at_its_lower_end(package: Dict[str, Any]) -> None:
    versions = oldest("3.9")
    extras = package["extras_require"]
    tested = [
        *package["install_requires"],
        extras["cpu"][0],
        *extras["onnx"],
        *extras["openvino"],
        *extras["int8"],
        *extras["nncf"],
    ]
    for item in map(Requirement, tested):
        floor = next(part.version for part in item.specifier if part.operator == ">=")
        assert versions[item.name.lower()].startswith(floor), item


@pytest.mark.slow
def test_every_import_of_the_package_is_declared(package: Dict[str, Any]) -> None:
    distributions = {"cv2": "opencv-python-headless", "sklearn": "scikit-learn", "PIL": "pillow"}
    distributions.update(paddle="paddlepaddle", yaml="pyyaml", pydantic_core="pydantic")
    distributions.update(mlperf_loadgen="mlcommons-loadgen", tensorboardX="tensorboardx")
    declared = {item.name.lower() for item in all_requirements(package)} | {"ppcls"}
    imported = set()
    for file in (ROOT / "ppcls").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).split(".")[0])
    outside = imported - set(getattr(sys, "stdlib_module_names", imported))
    assert {distributions.get(name, name) for name in outside} <= declared


def test_the_version_is_written_once(package: Dict[str, Any]) -> None:
    import ppcls

    assert package["version"] == ppcls.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
    assert f"## {package['version']}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_package_and_the_recipes_are_shipped(package: Dict[str, Any]) -> None:
    folders = {path.parent for path in (ROOT / "ppcls").rglob("*.py")}
    wanted = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(package["packages"]) == wanted | {"ppcls.configs"}
    assert package["package_dir"]["ppcls.configs"] == "configs"


def test_the_command_is_there(package: Dict[str, Any]) -> None:
    assert package["entry_points"] == {"console_scripts": ["ppcls = ppcls.cli:main"]}
    from ppcls.cli import main

    assert callable(main)


def test_the_pythons_are_those_that_the_set_up_accepts(package: Dict[str, Any]) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (oldest,) = re.findall(r"\(3, (\d+)\) <= sys", makefile)
    (newest,) = re.findall(r"^NEWEST \?= (\d+)$", makefile, re.MULTILINE)
    named = [line.split(" :: ")[-1] for line in package["classifiers"] if " :: 3." in line]
    assert named == PYTHONS
    assert [f"3.{minor}" for minor in range(int(oldest), int(newest) + 1)] == PYTHONS
    assert package["python_requires"] == f">={PYTHONS[0]}"


@pytest.mark.slow
def test_the_wheel_holds_package_and_recipes_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("wheel", reason="building offline needs the dev extra")
    if int(pytest.importorskip("setuptools").__version__.split(".")[0]) < 64:
        pytest.skip("building offline needs setuptools 64 or newer, as the dev extra brings it")
    clone = copy_of_sources(tmp_path)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    built = subprocess.run(
        [*command, "--wheel-dir", str(tmp_path / "dist"), str(clone)],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    code = {str(path.relative_to(ROOT)) for path in (ROOT / "ppcls").rglob("*.py")}
    recipes = {f"ppcls/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.yaml")}
    assert recipes
    assert code | recipes | {"ppcls/py.typed", "ppcls/data/imagenet_classes.txt"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"ppcls"}


def copy_of_sources(target: Path) -> Path:
    """Copy what building needs, so that the build leaves nothing in the clone."""
    clone = target / "clone"
    clone.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("ppcls", "configs", "requirements"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "requirements.txt", "MANIFEST.in", "LICENSE"):
        shutil.copy(ROOT / name, clone / name)
    return clone
