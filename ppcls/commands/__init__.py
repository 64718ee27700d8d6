"""The verbs of the command line, one module each: `add_arguments(parser)` and `run(arguments) ->
exit status`.

Modules here import nothing heavy before they run, so that ``ppcls --help`` answers at once.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from ppcls.config import Config


def add_config_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add what all verbs that read a configuration file have in common."""
    parser.add_argument(
        "-c", "--config", required=required, metavar="FILE", help="configuration file (YAML)"
    )
    parser.add_argument(
        "-o",
        "--override",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change values, e.g. -o Global.epochs=10 Arch.name=ResNet18; items of a list by their "
        "index from 0 (transform_ops.1.RandCropImage.size=32); ~KEY removes a key",
    )
    # PaddleClas' option, whose key gets the warning that it has no effect.
    parser.add_argument(
        *("-p", "--profiler_options"),
        dest="override",
        action="append",
        type=lambda given: "profiler_options=given",
        help=argparse.SUPPRESS,
    )
    add_import_argument(parser)
    parser.add_argument(
        "--print-config", action="store_true", help="print the resolved file and stop"
    )


def add_import_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names files and packages with parts of a user's own."""
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="FILE_OR_PACKAGE",
        help="import networks, losses, transforms, ... of your own before the file is checked: "
        "my_parts.py, or a package; it is run (as in Global.imports)",
    )


def run_with_config(
    arguments: argparse.Namespace, job: Callable[[Config, argparse.Namespace], int]
) -> int:
    """Check the configuration, then print it where that was asked for, or else do the job.

    Raises:
        ConfigError: with every mistake of the file.
    """
    from ppcls import runtime

    runtime.prepare()
    from ppcls.progress import waiting

    with waiting("reading the recipe"):
        from ppcls.config import load_config, to_yaml

        config = load_config(arguments.config, arguments.override, arguments.imports)
    if arguments.print_config:
        print(to_yaml(config.data), end="")
        return 0
    return job(config, arguments)
