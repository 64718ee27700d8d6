"""``ppcls calibrate``: let a bundle's scores mean what they say, and let it answer "unknown"."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from ppcls.commands import add_config_arguments, run_with_config
from ppcls.errors import UsageError

if TYPE_CHECKING:
    from ppcls.calibration import CalibrationOptions
    from ppcls.config import Config

_log = logging.getLogger("ppcls")

EXAMPLES = (
    "ppcls calibrate -c my_photos/recipe.yaml",
    "ppcls calibrate --model_dir bundle --images held_back.txt --min-precision 0.99",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser, required=False)
    parser.add_argument(
        "--model_dir",
        metavar="DIR",
        help="an exported bundle, which is changed (default: that of the run of -c)",
    )
    parser.add_argument(
        "--images",
        metavar="LIST_OR_FOLDER",
        help="images held back from training, with their classes: a list file ('path class' on "
        "each line), or a folder for each class (default: DataLoader.Eval of -c)",
    )
    parser.add_argument(
        "--judge",
        metavar="LIST_OR_FOLDER",
        help="other such images, on which the outcome is measured as well",
    )
    parser.add_argument(
        "--min-precision",
        type=float,
        default=0.95,
        metavar="FRACTION",
        help="how many of the answers are to be right: the threshold below which the answer is "
        "'unknown' is the smallest that reaches it; 0 is no threshold (default: 0.95)",
    )
    parser.add_argument(
        "--per-class", action="store_true", help="find a threshold for each class by itself"
    )
    parser.add_argument("--engine", default="auto", metavar="NAME", help="as in ppcls predict")
    parser.add_argument("--device", default="auto", help="auto, cpu, gpu or gpu:N (default: auto)")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads (default: one per core)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, and say what was found."""
    if arguments.config:
        return run_with_config(arguments, _of_recipe)
    missing = [f"--{name}" for name in ("model_dir", "images") if not getattr(arguments, name)]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)}: missing; give -c CONFIG of a run with an exported bundle, "
            "or --model_dir BUNDLE --images FOLDER_OR_LIST"
        )
    from ppcls.calibration import calibrate_bundle

    report = calibrate_bundle(arguments.model_dir, arguments.images, _options(arguments))
    _log.info("%s", report.summary())
    return 0


def _of_recipe(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.calibrate import calibrate

    report = calibrate(config, arguments.model_dir, arguments.images, _options(arguments))
    _log.info("%s", report.summary())
    return 0


def _options(arguments: argparse.Namespace) -> CalibrationOptions:
    from ppcls.calibration import CalibrationOptions

    names = ("judge", "min_precision", "per_class", "engine", "device", "threads")
    return CalibrationOptions(**{name: getattr(arguments, name) for name in names})
