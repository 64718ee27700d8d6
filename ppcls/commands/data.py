"""``ppcls data``: make a data set from what is already on the machine, or divide a folder of one's
own images.
"""

from __future__ import annotations

import argparse
import logging
import shlex
from pathlib import Path

OWN_IMAGES = "quick_start/own_images.yaml"
_log = logging.getLogger("ppcls")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    prepare = actions.add_parser("prepare", help="write a data set as image files and list files")
    prepare.add_argument(
        "name", choices=["digits"], help="digits: 1,797 handwritten digits from scikit-learn"
    )
    prepare.add_argument(
        "--output_dir", type=Path, help="where to write it (default: dataset/NAME)"
    )
    split = actions.add_parser(
        "split",
        help="divide a folder of class folders (FOLDER/cat/1.jpg) and write a recipe for it",
    )
    split.add_argument("folder", type=Path, metavar="FOLDER")
    split.add_argument(
        "--val",
        type=float,
        default=0.2,
        metavar="FRACTION",
        help="held back, 0 to 1 (default: 0.2)",
    )
    split.add_argument(
        "--seed", type=int, default=0, help="which images are held back (default: 0)"
    )
    split.add_argument(
        "--base",
        default=OWN_IMAGES,
        metavar="RECIPE",
        help=f"recipe to start from (default: {OWN_IMAGES})",
    )
    split.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="side of the images that the network sees (default: the recipe's)",
    )
    split.add_argument(
        "--overwrite", action="store_true", help="divide a folder again that is divided already"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write what was asked for and say where."""
    return _prepare(arguments) if arguments.action == "prepare" else _split(arguments)


def _prepare(arguments: argparse.Namespace) -> int:
    from ppcls.data.prepare import PREPARERS

    prepare = PREPARERS[arguments.name]
    _log.info("%s", prepare(arguments.output_dir or Path("dataset") / arguments.name))
    return 0


def _split(arguments: argparse.Namespace) -> int:
    from ppcls.data.split import left_out, split_folder, write_recipe

    found = split_folder(arguments.folder, arguments.val, arguments.seed, arguments.overwrite)
    recipe = write_recipe(arguments.folder, arguments.base, arguments.size)
    _log.info("%d classes: %s", len(found.classes), ", ".join(found.classes[:10]))
    _log.info(
        "%d images to learn from, %d held back; lists and recipe are in %s",
        found.train,
        found.val,
        found.folder,
    )
    others = left_out(arguments.folder, found.classes)
    if others:
        endings = ", ".join(f"{count} {ending}" for ending, count in others.most_common(5))
        _log.warning("left out, because they are no images by their ending: %s", endings)
    _log.info("train with: ppcls train -c %s", shlex.quote(str(recipe)))
    return 0
