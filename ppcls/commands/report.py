"""``ppcls report``: say why a trained network errs, and what is odd in its data, in one page."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from ppcls.commands import add_import_argument

_log = logging.getLogger("ppcls")

EXAMPLES = ("ppcls report output/my_photos", "ppcls report output/my_photos --language zh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="output folder of a training, such as output/my_photos",
    )
    parser.add_argument(
        "--most",
        type=int,
        metavar="IMAGES",
        help="how many images of each set are looked at; of larger sets so many are drawn "
        "(default: 5000)",
    )
    parser.add_argument(
        "--language",
        choices=["en", "zh"],
        help="language that the page shows at first (default: that of this machine); it has both",
    )
    parser.add_argument(
        "--device", metavar="DEVICE", help="auto, cpu, gpu:0, ... (default: as in training)"
    )
    add_import_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the report and say where."""
    from ppcls import runtime

    runtime.prepare()
    from ppcls.api.report import MOST_IMAGES, describe_report, report

    most = MOST_IMAGES if arguments.most is None else arguments.most
    made = report(arguments.run, most, arguments.language, arguments.device, arguments.imports)
    _log.info("%s", describe_report(made))
    return 0
