"""``ppcls data prepare digits``: make a data set from what is already on the machine."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "prepare a data set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    prepare = actions.add_parser("prepare", help="write a data set as image files and list files")
    prepare.add_argument("name", choices=["digits"], help="digits: 1,797 handwritten digits from scikit-learn")
    prepare.add_argument("--output_dir", type=Path, help="where to write it (default: dataset/NAME)")


def run(arguments: argparse.Namespace) -> int:
    """Write the data set and say where."""
    from ppcls.data.prepare import prepare_digits

    prepare_digits(arguments.output_dir or Path("dataset") / arguments.name)
    return 0
