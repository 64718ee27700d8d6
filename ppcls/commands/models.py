"""``ppcls models``: list the networks that can be built."""

from __future__ import annotations

import argparse

from ppcls import runtime


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("pattern", nargs="?", default="*", help="a pattern such as '*Res*'")


def run(arguments: argparse.Namespace) -> int:
    """Print the names, one a line; status 1 when there is none."""
    runtime.prepare()
    from ppcls.arch import list_models

    found = list_models(arguments.pattern)
    print("\n".join(found) if found else f"no network matches '{arguments.pattern}'")
    return 0 if found else 1
