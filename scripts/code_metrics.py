"""Measure how the code reads: lengths, sizes, annotations, and how many files name one network.

``python scripts/code_metrics.py [TREE]`` prints a table for a clone, this one by default. Nothing
is judged here; tests/test_house.py holds the limits.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import re
import statistics
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Union

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ppcls.text import markdown_table  # noqa: E402

LONG_FILE = 300
GENERATED = r"docs/[^/]+/models/.*\.md"
"""Pages that tools/model_zoo.py writes."""
RECIPES = r"configs/ImageNet/.*"
"""One recipe for each network, by its nature."""
_LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}
_LAYOUT |= {tokenize.ENCODING, tokenize.ENDMARKER}

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


class Source(NamedTuple):
    """A Python file: its text and syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def functions(self) -> List[Function]:
        """Every function and method, nested ones too."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        return [node for node in ast.walk(self.tree) if isinstance(node, kinds)]

    @property
    def lines(self) -> int:
        """All lines of the file."""
        return len(self.text.splitlines())


def sources(folder: Path) -> List[Source]:
    """Read the Python files of a folder."""
    found = [(path, path.read_text("utf-8")) for path in sorted(folder.rglob("*.py"))]
    return [Source(path, text, ast.parse(text, str(path))) for path, text in found]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Print the table of a tree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path, nargs="?", default=ROOT, help="a clone")
    tree = parser.parse_args(arguments).tree.resolve()
    rows = [("What is measured", "Result"), *measure(tree).items()]
    print(markdown_table(rows, left=[0, 1]))
    return 0


def measure(tree: Path) -> Dict[str, str]:
    """Return the metrics of a clone: {what is measured: result}."""
    package, tests = sources(tree / "ppcls"), sources(tree / "tests")
    functions = [function for source in package for function in source.functions]
    files = sorted(source.lines for source in package)
    long_files = sum(lines > LONG_FILE for lines in files)
    annotated = [is_annotated(function) for function in functions]
    ratio = sum(source.lines for source in tests) / sum(files)
    with_docstrings = [length(function) for function in functions]
    without = [length(f) - docstring_lines(f) for f in functions]
    return {
        "Function length, median / p90 / longest": spread(with_docstrings),
        "the same without docstrings": spread(without),
        "Lines of code (no blanks, comments, docstrings)": f"{sum(map(code_lines, package)):,}",
        f"Files above {LONG_FILE} lines (longest)": f"{long_files} ({files[-1]})",
        "Functions fully annotated": f"{statistics.mean(annotated):.1%}",
        "Parameters of the longest signature": str(max(len(parameters(f)) for f in functions)),
        **naming(tree),
        "Test lines per source line": f"{ratio:.2f}",
        "Modules that Config enters": str(sum(map(takes_config, package))),
    }


def spread(numbers: Sequence[int]) -> str:
    """Return median, 90th percentile and largest of some numbers."""
    tenths = statistics.quantiles(numbers, n=10, method="inclusive")
    return f"{statistics.median(numbers):g} / {tenths[-1]:g} / {max(numbers)}"


# --- functions and files -------------------------------------------------------------------------


def length(node: ast.AST) -> int:
    """Return the number of lines from the first to the last."""
    return (getattr(node, "end_lineno", 0) or 0) - getattr(node, "lineno", 0) + 1


def docstring_lines(node: Union[Function, ast.ClassDef, ast.Module]) -> int:
    """Return the number of lines of a docstring; 0 if there is none."""
    return length(node.body[0]) if ast.get_docstring(node) is not None else 0


def parameters(function: Function) -> List[ast.arg]:
    """Return the parameters that a caller gives, so without self and cls."""
    own = function.args
    found = [*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg]
    return [one for one in found if one is not None and one.arg not in ("self", "cls")]


def is_annotated(function: Function) -> bool:
    """Say whether every parameter and the result have a type."""
    return function.returns is not None and all(one.annotation for one in parameters(function))


def code_lines(source: Source) -> int:
    """Return the number of lines with code: no blanks, comments, docstrings."""
    found: Set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type not in _LAYOUT:
            found.update(range(token.start[0], token.end[0] + 1))
    return len(found - set(_free_strings(source.tree)))


def _free_strings(tree: ast.Module) -> Iterator[int]:
    """Yield the lines of docstrings, of modules, classes, functions and constants alike."""
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield from range(value.lineno, (value.end_lineno or value.lineno) + 1)


def takes_config(source: Source) -> bool:
    """Say whether a function of the file has a parameter that is annotated `Config`."""
    given = [one.annotation for function in source.functions for one in parameters(function)]
    return any(re.search(r"\bConfig\b", ast.unparse(kind)) for kind in given if kind)


# --- how many files name a network ---------------------------------------------------------------


def naming(tree: Path) -> Dict[str, str]:
    """Return how many tracked files contain the name of a network, as a whole word."""
    names, found = networks(tree), words(tree)
    kept = {path: text for path, text in found.items() if not re.fullmatch(GENERATED, path)}
    few = {path: text for path, text in kept.items() if not re.fullmatch(RECIPES, path)}
    title = "Files that name one network, median / p90 / most"
    return {
        f"{title}: all": spread(_counts(names, found)),
        f"{title}: without generated pages": spread(_counts(names, kept)),
        f"{title}: without recipes either": spread(_counts(names, few)),
    }


def _counts(names: Sequence[str], found: Dict[str, Set[str]]) -> List[int]:
    return [sum(name in words for words in found.values()) for name in names]


def networks(tree: Path) -> List[str]:
    """Return the registered names of all networks, as the tree itself lists them."""
    code = "from ppcls.arch import list_models; print(*list_models())"
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    listed = subprocess.run(
        command, cwd=tree, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return listed.stdout.splitlines()[-1].split()


def words(tree: Path) -> Dict[str, Set[str]]:
    """Return the words of each text file that git tracks: {path: words}."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=tree, check=True, stdout=subprocess.PIPE, text=True
    )
    paths = [path for path in listed.stdout.split("\0") if (tree / path).is_file()]
    texts = ((path, (tree / path).read_text("utf-8", "replace")) for path in paths)
    return {path: set(re.findall(r"\w+", text)) for path, text in texts}


if __name__ == "__main__":
    sys.exit(main())
