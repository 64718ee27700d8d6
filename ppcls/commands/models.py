"""``ppcls models``: list the networks, with size, cost, published accuracy, and weights.

Parameters are the trainable ones. MACs are multiply-accumulates for one image. Accuracy is that on
the ImageNet-1k validation images, as published with the weights. Weights are "here" (in the cache,
or installed), or "published", and then fetched on first use.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import TYPE_CHECKING, Optional, Tuple

if TYPE_CHECKING:
    from ppcls.arch.catalogue import Model

EXAMPLES = (
    "ppcls models",
    "ppcls models '*Res*' --sort accuracy",
    "ppcls models --with-weights --max-params 10M --sort accuracy",
    "ppcls models --json",
)

_COLUMNS = ("network", "parameters", "MACs", "input", "top-1", "by", "weights")
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("pattern", nargs="?", default="*", help="a pattern such as '*Res*'")
    parser.add_argument(
        "--with-weights", action="store_true", help="only those with published weights"
    )
    parser.add_argument(
        "--weights-here", action="store_true", help="only those whose weights are on this machine"
    )
    for option, what in (("--max-params", "parameters"), ("--max-macs", "multiply-accumulates")):
        text = f"only those with at most so many {what}: 10M, 1.5G"
        parser.add_argument(option, type=_count, metavar="N", help=text)
    parser.add_argument(
        "--sort",
        choices=["params", "macs", "accuracy"],
        help="smallest first, or most accurate first (default: by name)",
    )
    parser.add_argument("--json", action="store_true", help="print all that is known, as JSON")


def _count(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)", text.strip().upper())
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' is no number such as 500000, 10M or 1.5G")
    return float(found[1]) * _UNITS[found[2]]


def run(arguments: argparse.Namespace) -> int:
    """Print a table; status 1 when there is no such network."""
    from ppcls.arch.catalogue import find_models
    from ppcls.text import table

    found = find_models(
        arguments.pattern,
        arguments.with_weights,
        arguments.weights_here,
        arguments.max_params,
        arguments.max_macs,
        arguments.sort,
    )
    if arguments.json:
        print(json.dumps([model.to_dict() for model in found], indent=1))
    elif found:
        print(table([_COLUMNS, *map(_row, found)], left=[0, 5, 6]))
    else:
        print("no network is like that; `ppcls models` lists all", file=sys.stderr)
    return 0 if found else 1


def _row(model: Model) -> Tuple[str, ...]:
    top1 = "" if model.top1 is None else f"{model.top1:.2%}"
    side = "" if model.side is None else str(model.side)
    return (
        model.name, _short(model.parameters), _short(model.macs), side, top1, model.by,
        model.weights,
    )  # fmt: skip


def _short(count: Optional[int]) -> str:
    """Return a count in millions or billions, with three digits or more."""
    if count is None:
        return ""
    return f"{count / 1e6:.2f} M" if count < 1e9 else f"{count / 1e9:.2f} G"
