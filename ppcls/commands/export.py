"""``ppcls export``: write a trained network as a bundle that predicts without the training code."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, List

from ppcls.commands import add_config_arguments, run_with_config

if TYPE_CHECKING:
    from ppcls.config import Config

_log = logging.getLogger("ppcls")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)
    parser.add_argument(
        "--output_dir",
        metavar="DIR",
        help="the bundle (default: Global.save_inference_dir, else OUTPUT_DIR/inference)",
    )
    parser.add_argument(
        "--formats",
        type=_names,
        default=["paddle"],
        metavar="NAME,...",
        help="formats of the network, the preferred one first: paddle, onnx (default: paddle)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a bundle that is already there"
    )


def _names(text: str) -> List[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def run(arguments: argparse.Namespace) -> int:
    """Export, check the bundle against the network, and say where it is."""
    return run_with_config(arguments, _run)


def _run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.export import export

    report = export(config, arguments.output_dir, arguments.formats, arguments.overwrite)
    _log.info("%s", report.summary())
    return 0
