"""``ppcls plot``: pictures of what a configuration means, before anything is trained."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ppcls.commands import add_config_arguments, run_with_config

if TYPE_CHECKING:
    from ppcls.config import Config

_log = logging.getLogger("ppcls")

EXAMPLES = (
    "ppcls plot lr -c configs/quick_start/LeNet_digits.yaml",
    "ppcls plot augment photo.jpg -c my_photos/recipe.yaml --output augment.png",
)

_MOST = 99


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    rate = actions.add_parser("lr", help="the learning rate over the whole run")
    rate.add_argument(
        "--batches",
        type=_positive,
        metavar="N",
        help="batches of an epoch (default: as many as the training set has)",
    )
    photo = actions.add_parser("augment", help="what training makes of a photo")
    photo.add_argument("photo", metavar="PHOTO", help="an image file")
    photo.add_argument(
        "-n", type=_few, default=11, metavar="N", help="how often it is shown (default: 11)"
    )
    for action in (rate, photo):
        add_config_arguments(action)
        action.add_argument(
            "--output", type=Path, metavar="FILE", help="the picture (default: CONFIG_ACTION.png)"
        )


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10**9):
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number above 0")
    return int(text)


def _few(text: str) -> int:
    count = _positive(text)
    if count > _MOST:
        raise argparse.ArgumentTypeError(f"a picture shows at most {_MOST}")
    return count


def run(arguments: argparse.Namespace) -> int:
    """Draw, and say where the picture is."""
    return run_with_config(arguments, _lr if arguments.action == "lr" else _augment)


def _lr(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.plot import describe_schedule, plot_learning_rate

    output = _output(arguments)
    schedule = plot_learning_rate(config, output, arguments.batches)
    _log.info("%s\nwritten to %s", describe_schedule(schedule), output)
    return 0


def _augment(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.plot import plot_augmentation

    output = _output(arguments)
    names = plot_augmentation(config, arguments.photo, output, arguments.n)
    _log.info("%s\nwritten to %s", ", ".join(names), output)
    return 0


def _output(arguments: argparse.Namespace) -> Path:
    return arguments.output or Path(f"{Path(arguments.config).stem}_{arguments.action}.png")
