"""``ppcls export``: write a trained network as a bundle that predicts without the training code."""

from __future__ import annotations

import argparse
import logging
import shlex
from typing import TYPE_CHECKING, List, Tuple

from ppcls.commands import add_config_arguments, run_with_config
from ppcls.exporters import OPSET

if TYPE_CHECKING:
    from ppcls.config import Config

_log = logging.getLogger("ppcls")

EXAMPLES = (
    "ppcls export -c my_photos/recipe.yaml",
    "ppcls export -c my_photos/recipe.yaml --format onnx,paddle --overwrite",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)
    parser.add_argument(
        "--output_dir",
        metavar="DIR",
        help="the bundle (default: Global.save_inference_dir, else OUTPUT_DIR/inference)",
    )
    parser.add_argument(
        "--format",
        "--formats",
        type=_names,
        metavar="NAME,...",
        help="formats of the network, the preferred one first: paddle, onnx, openvino (default: "
        "paddle, and onnx where its converter and ONNX Runtime are installed)",
    )
    parser.add_argument(
        "--input-size",
        type=_size,
        metavar="H,W",
        help="height and width of the images in pixels, or one number for both; preprocessing "
        "follows (default: as in DataLoader.Eval)",
    )
    parser.add_argument(
        "--dynamic-batch",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let the network take any number of images at once, or one (default: any)",
    )
    parser.add_argument(
        "--uint8",
        nargs="?",
        const="hwc",
        choices=["hwc", "chw"],
        help="let the network take levels of uint8 in this layout (hwc where none is given) and "
        "normalise them itself",
    )
    parser.add_argument(
        "--opset",
        type=int,
        default=OPSET,
        metavar="N",
        help=f"version of ONNX' operators (default: {OPSET})",
    )
    parser.add_argument(
        "--model-name",
        metavar="NAME",
        help="what the bundle calls the network (default: Global.model_name, else what PaddleX "
        "calls it, else Arch.name)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a bundle that is already there"
    )


def _names(text: str) -> List[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _size(text: str) -> Tuple[int, int]:
    """Return (height, width) of "H,W" or of one number."""
    sides = [
        int(side) if side.strip().isascii() and side.strip().isdigit() else 0
        for side in text.split(",")
    ]
    if len(sides) > 2 or min(sides) < 1:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no size; write height and width in pixels, as 224,320, or one number"
        )
    return sides[0], sides[-1]


def run(arguments: argparse.Namespace) -> int:
    """Export, check the bundle against the network, and say where it is."""
    return run_with_config(arguments, _run)


def _run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.export import export
    from ppcls.exporters import ExportOptions

    options = ExportOptions(
        arguments.model_name, arguments.dynamic_batch, arguments.uint8, arguments.opset
    )
    report = export(
        config,
        arguments.output_dir,
        arguments.format,
        arguments.overwrite,
        arguments.input_size,
        options,
    )
    _log.info("%s", report.summary())
    folder = shlex.quote(str(report.folder))
    _log.info("what is in a photo: ppcls predict --model_dir %s PHOTO", folder)
    return 0
