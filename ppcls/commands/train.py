"""``ppcls train``: train a network as a configuration file says."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ppcls.commands import add_config_arguments, run_with_config

if TYPE_CHECKING:
    from ppcls.config import Config

EXAMPLES = (
    "ppcls train -c configs/quick_start/LeNet_digits.yaml",
    "ppcls train -c my_photos/recipe.yaml -o Global.epochs=5 Global.output_dir=output/short",
    "ppcls train -c my_photos/recipe.yaml --resume auto",
    "ppcls train -c my_photos/recipe.yaml --dry-run",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--resume",
        metavar="auto|FILE",
        help="go on where a run stood; auto: the newest checkpoint of Global.output_dir",
    )
    existing.add_argument(
        "--overwrite", action="store_true", help="delete the run that Global.output_dir holds"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="build everything, run one batch forward and backward, report, stop",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train; return the exit status."""
    return run_with_config(arguments, _dry_run if arguments.dry_run else _train)


def _dry_run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.train import try_one_batch

    print(try_one_batch(config))
    return 0


def _train(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.train import train
    from ppcls.engine.interrupt import Interrupted

    try:
        train(config, arguments.resume, arguments.overwrite)
    except Interrupted as stopped:
        return stopped.exit_status
    return 0
