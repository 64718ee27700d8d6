"""``ppcls tune``: train a recipe with other settings again and again, and find the best ones."""

from __future__ import annotations

import argparse
import logging
import shlex
from typing import TYPE_CHECKING, Any, List

from ppcls.commands import add_config_arguments, run_with_config

if TYPE_CHECKING:
    from ppcls.api.tuning.study import TuneResult
    from ppcls.config import Config

_log = logging.getLogger("ppcls")

EXAMPLES = (
    "ppcls tune -c configs/quick_start/LeNet_digits.yaml --trials 12 -o Global.epochs=5",
    "ppcls tune -c my_photos/recipe.yaml --search 'Optimizer.lr.learning_rate=log(0.001,0.1)'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)
    parser.add_argument(
        "--trials",
        type=int,
        default=20,
        metavar="N",
        help="how many there are to be, those of earlier calls included (default: 20)",
    )
    parser.add_argument(
        "--search",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=SPACE",
        help="what to try, in quotes: 'KEY=(0,0.2)', 'KEY=log(0.001,0.1)', 'KEY=int(1,8)' or "
        "'KEY=[16, 32]' (default: learning rate, weight decay, label smoothing around the recipe)",
    )
    parser.add_argument(
        "--pruner",
        default="median",
        choices=["median", "hyperband", "none"],
        help="what ends trials that promise little (default: median)",
    )
    parser.add_argument("--overwrite", action="store_true", help="delete the trials that are there")


def run(arguments: argparse.Namespace) -> int:
    """Try, print the table, and say where the best is."""
    return run_with_config(arguments, _tune)


def _tune(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.tuning.study import tune
    from ppcls.engine.interrupt import Interrupted

    try:
        found = tune(
            arguments.config,
            arguments.override,
            arguments.trials,
            arguments.search,
            arguments.pruner,
            arguments.overwrite,
            arguments.imports,
        )
    except Interrupted as stopped:
        _log.info("all trials are kept; the same command goes on")
        return stopped.exit_status
    _log.info("%s", "\n".join(_closing_lines(found)))
    return 0 if found.best is not None else 1


def _closing_lines(found: TuneResult) -> List[str]:
    from ppcls.api.tuning.results import settings_of

    if found.best is None:
        return [f"no trial was trained to its end; what they did is in {found.folder}"]
    folder = shlex.quote(str(found.folder / f"trial_{found.best:03d}/config.yaml"))
    best: Any = found.study.best_trial
    return [
        f"best: trial {found.best}, with {settings_of(best)}",
        f"its network: ppcls eval -c {folder}",
        f"its recipe, to train again: ppcls train -c {shlex.quote(str(found.recipe))}",
        f"all trials: {found.folder / 'results.csv'}",
    ]
