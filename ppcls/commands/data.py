"""``ppcls data``: make a data set from what is already on the machine, or divide a folder of one's
own images.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from ppcls.errors import UsageError
from ppcls.text import printable

_log = logging.getLogger("ppcls")

EXAMPLES = (
    "ppcls data prepare digits",
    "ppcls data split my_photos",
    "ppcls data split my_photos --val 0.1 --size 96",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    prepare = actions.add_parser("prepare", help="write a data set as image files and list files")
    prepare.add_argument(
        "name",
        choices=["digits", "cifar10"],
        help="digits: 1,797 handwritten digits from scikit-learn; cifar10: 60,000 small photos "
        "from an archive that you have",
    )
    prepare.add_argument(
        "--from",
        dest="archives",
        type=Path,
        nargs="+",
        default=[],
        metavar="ARCHIVE",
        help="of cifar10: cifar-10-binary.tar.gz, or tar archives that hold train/airplane/1.png "
        "and test/airplane/1.png",
    )
    prepare.add_argument(
        "--output_dir", type=Path, help="where to write it (default: dataset/NAME)"
    )
    split = actions.add_parser(
        "split",
        help="divide a folder of your own images (FOLDER/cat/1.jpg, lists, a CSV file) and write a "
        "recipe for it",
    )
    split.add_argument(
        "data", type=Path, metavar="DATA", help="a folder, a list file or a CSV file"
    )
    _add_division(split)
    split.add_argument(
        "--base",
        metavar="RECIPE",
        help="recipe to start from (default: quick_start/own_images.yaml)",
    )
    split.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="side of the images that the network sees (default: the recipe's)",
    )
    split.add_argument(
        "--output_dir", type=Path, help="where lists and recipe go (default: beside the images)"
    )
    split.add_argument(
        "--overwrite", action="store_true", help="divide a set again that is divided already"
    )
    _add_fix(actions)


def _add_division(split: argparse.ArgumentParser) -> None:
    split.add_argument(
        "--val",
        type=float,
        metavar="FRACTION",
        help="held back to choose the best model by, 0 to 1 (default: 0.2, or what is there)",
    )
    split.add_argument(
        "--test",
        type=float,
        default=0.0,
        metavar="FRACTION",
        help="held back besides, to judge that model by (default: none)",
    )
    split.add_argument(
        "--folds", type=int, metavar="K", help="K recipes instead; each holds back another K-th"
    )
    split.add_argument(
        "--group-by",
        metavar="HOW",
        help="which images stay on one side: folder, column:NAME of a CSV file, or a regular "
        "expression with one group that is searched for in the paths, such as 'object([0-9]+)'",
    )
    split.add_argument(
        "--seed", type=int, default=0, help="which images are held back (default: 0)"
    )


def _add_fix(actions: Any) -> None:
    """Describe `data fix`."""
    fix = actions.add_parser(
        "fix", help="correct the labels that were confirmed to be wrong in a report of ppcls report"
    )
    fix.add_argument("report", type=Path, metavar="report.json")
    fix.add_argument(
        "--dry-run", action="store_true", help="say what would be changed, and change nothing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write what was asked for and say where."""
    actions = {"prepare": _prepare, "split": _split, "fix": _fix}
    return actions[arguments.action](arguments)


def _fix(arguments: argparse.Namespace) -> int:
    from ppcls.data.fix import apply_fixes, plan_fixes, read_report

    planned = plan_fixes(read_report(arguments.report))
    for change in planned:
        _log.info("%s", printable(change.words))
    count = "1 change" if len(planned) == 1 else f"{len(planned)} changes"
    if not planned:
        _log.info('nothing is confirmed: set "confirmed": true where labels are to be corrected')
    elif arguments.dry_run:
        _log.info("%s; nothing was changed (--dry-run)", count)
    else:
        for backup in apply_fixes(planned):
            _log.info("the list as it was: %s", backup)
        _log.info("%s made", count)
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    from ppcls.data.cifar10 import SOURCES, prepare_cifar10
    from ppcls.data.prepare import prepare_digits

    folder = arguments.output_dir or Path("dataset") / arguments.name
    if arguments.name == "digits":
        if arguments.archives:
            raise UsageError("the digits come with scikit-learn, so leave --from out")
        _log.info("%s", prepare_digits(folder))
        return 0
    if not arguments.archives:
        raise UsageError(f"cifar10 needs --from ARCHIVE: {SOURCES}")
    _log.info("%s", prepare_cifar10(folder, arguments.archives))
    return 0


def _split(arguments: argparse.Namespace) -> int:
    from ppcls.data.division import DivisionRequest
    from ppcls.data.split import OWN_IMAGES, split

    request = DivisionRequest(
        arguments.val, arguments.test, arguments.folds, arguments.seed, arguments.group_by
    )
    report = split(
        arguments.data,
        request,
        arguments.base or OWN_IMAGES,
        arguments.size,
        arguments.output_dir,
        arguments.overwrite,
    )
    _log.info("%s", report)
    for warning in report.warnings:
        _log.warning("%s", warning)
    return 0
