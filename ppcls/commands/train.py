"""``ppcls train``: train a network as a configuration file says, or on a folder of photos."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ppcls.commands import add_config_arguments, run_with_config
from ppcls.errors import UsageError
from ppcls.transfer import BUDGET

if TYPE_CHECKING:
    from ppcls.config import Config

EXAMPLES = (
    "ppcls train -c configs/quick_start/LeNet_digits.yaml",
    "ppcls train -c my_photos/recipe.yaml -o Global.epochs=5 Global.output_dir=output/short",
    "ppcls train -c my_photos/recipe.yaml --resume auto",
    "ppcls train -c my_photos/recipe.yaml --dry-run",
    "ppcls train -c my_photos/recipe.yaml --find-lr",
    "ppcls train -c my_photos/recipe.yaml --find-batch-size",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser, required=False)
    _add_data_arguments(parser)
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--resume",
        metavar="auto|FILE",
        help="go on where a run stood; auto: the newest checkpoint of Global.output_dir; "
        "FOLDER/latest: that of another run",
    )
    existing.add_argument(
        "--overwrite", action="store_true", help="delete the run that Global.output_dir holds"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="build everything, run one batch forward and backward, report, stop",
    )
    parser.add_argument(
        "--find-lr",
        action="store_true",
        help="try learning rates from 1e-6 to 10 for a step each, say which are of use, stop",
    )
    parser.add_argument(
        "--find-batch-size",
        action="store_true",
        help="try batch sizes 1, 2, 4, ... for a few steps each, say how fast they are and what "
        "memory they take, stop",
    )


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    photos = parser.add_argument_group(
        "instead of -c, for photos of your own",
        "Starts from published weights: a linear head on their features within a minute, then "
        "fine-tuning; the better of both is kept. The recipe that comes out of it is written.",
    )
    photos.add_argument(
        "--data", metavar="PHOTOS", help="a folder of a folder for each class, lists, or a CSV file"
    )
    photos.add_argument(
        "--budget",
        metavar="TIME",
        help=f"for all that is computed: 90s, 5m, 1h (default: {BUDGET})",
    )
    photos.add_argument(
        "--model", metavar="NAME", help="whose published weights (default: the best at hand)"
    )
    photos.add_argument(
        "--size", type=int, metavar="PIXELS", help="side of the images that the network sees"
    )
    photos.add_argument(
        "--output", metavar="DIR", help="folder of the run (default: output/NAME_OF_THE_DATA)"
    )
    photos.add_argument(
        "--val", type=float, metavar="FRACTION", help="held back, 0 to 1 (default: 0.2)"
    )
    photos.add_argument(
        "--group-by", metavar="HOW", help="what stays together, as for ppcls data split"
    )
    photos.add_argument("--seed", type=int, help="of everything random (default: 0)")
    photos.add_argument(
        "--no-refit",
        action="store_true",
        default=None,
        help="do not let the model learn from the photos that are held back, in the end",
    )
    photos.add_argument("--no-report", action="store_true", default=None, help="write no report")


_DECIDED = ("budget", "model", "size", "val", "group_by", "seed")
_OF_DATA = ("budget", "model", "size", "output", "val", "group_by", "seed", "no_refit", "no_report")


_SEARCHES = {"find_lr": "rates", "find_batch_size": "batch sizes"}


def run(arguments: argparse.Namespace) -> int:
    """Train; return the exit status."""
    given = [name for name in _OF_DATA if getattr(arguments, name) is not None]
    if (arguments.config is None) == (arguments.data is None):
        raise UsageError(
            "train what? ppcls train -c RECIPE, or ppcls train --data FOLDER_OF_PHOTOS"
            f"{'; not both' if arguments.config else ''}"
        )
    if arguments.data is not None:
        return _on_photos(arguments)
    if given:
        raise UsageError(
            f"--{given[0].replace('_', '-')} belongs to --data; a recipe says it itself with -o"
        )
    trials = {"dry_run": _dry_run, "find_lr": _find_rate, "find_batch_size": _find_size}
    asked = [name for name in trials if getattr(arguments, name)]
    if len(asked) > 1:
        raise UsageError("--dry-run, --find-lr or --find-batch-size, one at a time")
    search = next((name for name in _SEARCHES if name in asked), None)
    if search and (arguments.resume or arguments.overwrite):
        raise UsageError(
            f"--{search.replace('_', '-')} tries {_SEARCHES[search]} from the weights that a run "
            "begins with, and touches no run; leave --resume and --overwrite out"
        )
    return run_with_config(arguments, trials[asked[0]] if asked else _train)


def _find_rate(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.train import find_learning_rate

    print(find_learning_rate(config).summary())
    return 0


def _find_size(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.benchmark.training.batch_size import find_batch_size

    found = find_batch_size(arguments.config, arguments.override, arguments.imports, config)
    print(found.summary())
    return 0


def _dry_run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.train import try_one_batch

    print(try_one_batch(config))
    return 0


def _on_photos(arguments: argparse.Namespace) -> int:
    from ppcls import runtime

    for flag in ("dry_run", "find_lr", "find_batch_size", "print_config"):
        if getattr(arguments, flag):
            name = flag.replace("_", "-")
            raise UsageError(f"--{name} belongs to -c; --data writes a recipe first")
    decided = [name for name in _DECIDED if getattr(arguments, name) is not None]
    if arguments.resume and decided:
        raise UsageError(
            f"--{decided[0].replace('_', '-')}: a run that goes on keeps to its recipe; leave it "
            "out, or start again: --overwrite"
        )
    runtime.prepare()
    from ppcls.api.own_photos import OwnPhotosOptions, train_on_photos
    from ppcls.data.division import DivisionRequest
    from ppcls.engine.interrupt import Interrupted

    options = OwnPhotosOptions(
        budget=arguments.budget or BUDGET,
        network=arguments.model,
        size=arguments.size,
        division=DivisionRequest(
            val=arguments.val, seed=arguments.seed or 0, group_by=arguments.group_by
        ),
        report=not arguments.no_report,
        refit=not arguments.no_refit,
    )
    try:
        train_on_photos(
            arguments.data,
            arguments.output,
            options,
            arguments.override,
            arguments.resume,
            arguments.overwrite,
        )
    except Interrupted as stopped:
        return stopped.exit_status
    return 0


def _train(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.train import train
    from ppcls.engine.interrupt import Interrupted

    try:
        train(config, arguments.resume, arguments.overwrite)
    except Interrupted as stopped:
        return stopped.exit_status
    return 0
