"""The metrics of code, on a small tree whose answers are counted by hand."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path
from typing import Dict

import pytest

from scripts import code_metrics
from scripts.code_metrics import Source, measure, spread

NETWORKS = '''"""Three networks."""

NAMES = ["SmallNet", "LargeNet", "LargeNet_x2"]


def list_models():
    """Return
    their names.
    """
    return NAMES
'''
BUILD = '''"""Build."""

from typing import Optional

TEXT = """two
lines"""
"""What is built."""


class Builder:
    def make(self, config: "Optional[Config]", *parts: int, size: int = 3) -> int:
        # a comment
        def inner(x: int) -> int:
            return x

        return inner(size)
'''
FILES = {
    "ppcls/__init__.py": "",
    "ppcls/arch/__init__.py": NETWORKS,
    "ppcls/build.py": BUILD,
    "ppcls/long.py": "X = 1\n" * 301,
    "tests/test_arch.py": "# LargeNet\n" * 331,
    "docs/en/models/nets.md": "SmallNet LargeNet LargeNet_x2",
    "docs/en/training.md": "LargeNet, and SmallNetwork",
    "configs/ImageNet/Large/LargeNet.yaml": "name: LargeNet",
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    tree = tmp_path_factory.mktemp("tree")
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, "utf-8")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tree, check=True)
    (tree / "untracked.md").write_text("SmallNet", "utf-8")
    return measure(tree)


def test_functions_are_measured_with_and_without_docstrings(result: Dict[str, str]) -> None:
    lengths = [5, 6, 2]  # list_models, make, inner
    assert result["Function length, median / p90 / longest"] == spread(lengths) == "5 / 5.8 / 6"
    assert result["the same without docstrings"] == spread([2, 6, 2])


def test_lines_of_code_are_without_blanks_comments_and_docstrings(result: Dict[str, str]) -> None:
    in_arch, in_build = 3, 8
    assert result["Lines of code (no blanks, comments, docstrings)"] == str(
        in_arch + in_build + 301
    )


def test_files_signatures_and_annotations(result: Dict[str, str]) -> None:
    assert result["Files above 300 lines (longest)"] == "1 (301)"
    assert result["Functions fully annotated"] == "66.7%"
    assert result["Parameters of the longest signature"] == "3"
    assert result["Modules that Config enters"] == "1"
    lines = sum(len(FILES[name].splitlines()) for name in FILES if name.startswith("ppcls"))
    assert result["Test lines per source line"] == f"{331 / lines:.2f}"


def test_files_that_name_a_network_are_counted_by_whole_words(result: Dict[str, str]) -> None:
    title = "Files that name one network, median / p90 / most"
    # arch/__init__.py and nets.md name all three; LargeNet is in a test, a page and a recipe too.
    assert result[f"{title}: all"] == spread([2, 5, 2])
    assert result[f"{title}: without generated pages"] == spread([1, 4, 1])
    assert result[f"{title}: without recipes either"] == spread([1, 3, 1])


@pytest.mark.parametrize(
    ("signature", "counted"),
    [("config: Config", True), ("config: 'Optional[Config]'", True), ("x: ConfigError", False)],
)
def test_config_enters_where_a_parameter_has_its_type(signature: str, counted: bool) -> None:
    text = f"def build({signature}) -> None: ..."
    assert code_metrics.takes_config(Source(Path("a.py"), text, ast.parse(text))) is counted
