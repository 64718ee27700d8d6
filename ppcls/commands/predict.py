"""``ppcls predict``: predict images with an exported bundle."""

from __future__ import annotations

import argparse

from ppcls.inference import cli

HELP = "predict images with an exported bundle"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    cli.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict and print, or write a file; see `ppcls.inference.cli`."""
    return cli.run(arguments)
