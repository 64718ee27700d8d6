"""The verbs of the command line, one module each: `add_arguments(parser)` and `run(arguments) ->
exit status`.

Modules here import nothing heavy before they run, so that ``ppcls --help`` answers at once.
"""

from __future__ import annotations

import argparse


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what all verbs that read a configuration file have in common."""
    parser.add_argument(
        "-c", "--config", required=True, metavar="FILE", help="configuration file (YAML)"
    )
    parser.add_argument(
        "-o",
        "--override",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change a value, e.g. -o Global.epochs=10 -o Arch.name=ResNet18; list items by index, "
        "e.g. DataLoader.Train.dataset.transform_ops.1.RandCropImage.size=32; ~KEY removes a key",
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the resolved file and stop"
    )
