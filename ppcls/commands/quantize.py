"""``ppcls quantize``: add networks in 8-bit integers to a bundle, and say what they cost."""

from __future__ import annotations

import argparse
import logging
from typing import List

_log = logging.getLogger("ppcls")

EXAMPLES = ("ppcls quantize --model_dir bundle --calibration photos --judge val_list.txt",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--model_dir", required=True, metavar="DIR", help="an exported bundle")
    parser.add_argument(
        "--calibration",
        required=True,
        metavar="FOLDER_OR_LIST",
        help="images like those that will be predicted; labels do not matter",
    )
    parser.add_argument(
        "--judge",
        required=True,
        metavar="LIST_OR_FOLDER",
        help="other images, with their classes: a list file ('path class' on each line), or a "
        "folder for each class",
    )
    parser.add_argument(
        "--output_dir", metavar="DIR", help="the new bundle (default: it replaces the old one)"
    )
    parser.add_argument(
        "--formats",
        type=_words,
        metavar="NAME,...",
        help="onnx_int8, which ONNX Runtime and OpenVINO open; openvino_int8, which is faster in "
        "OpenVINO (default: those whose packages are installed)",
    )
    parser.add_argument(
        "--precisions",
        type=_words,
        default=["int8"],
        metavar="NAME,...",
        help="int8, bf16; bf16 needs no new file and is measured only (default: int8)",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        default=0.01,
        metavar="FRACTION",
        help="by how much top-1 accuracy may fall; beyond that the bundle is left as it was "
        "(default: 0.01)",
    )
    parser.add_argument(
        "--images",
        type=int,
        default=128,
        metavar="N",
        help="images of the calibration set, at most (default: 128)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads (default: one per core)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a bundle in --output_dir")


def _words(text: str) -> List[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def run(arguments: argparse.Namespace) -> int:
    """Quantise, judge, and say what was found."""
    from ppcls.quantisation import Request, quantise_bundle

    names = (
        *("model_dir", "calibration", "judge", "output_dir", "formats", "precisions", "max_drop"),
        *("images", "threads", "overwrite"),
    )
    request = Request(**{name: getattr(arguments, name) for name in names})
    _log.info("%s", quantise_bundle(request, _log.info).summary())
    return 0
