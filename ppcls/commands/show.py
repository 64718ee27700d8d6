"""``ppcls show``: what a run was, how far it came, how good it is, and what to do next."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

EXAMPLES = ("ppcls show", "ppcls show output/LeNet_digits")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("output"),
        metavar="RUN",
        help="the output folder of a run, or a folder whose runs to list (default: output)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the summary of a run, or the list of the runs in a folder."""
    from ppcls.engine.run_summary import is_run
    from ppcls.engine.run_text import describe_run, table_of_runs
    from ppcls.text import encodable, printable

    describe = describe_run if is_run(arguments.folder) else table_of_runs
    print(encodable(printable(describe(arguments.folder)), sys.stdout.encoding))
    return 0
