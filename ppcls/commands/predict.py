"""``ppcls predict``: say what is in images, by an exported bundle or by published weights."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ppcls import runtime
from ppcls.errors import UsageError
from ppcls.inference import cli

if TYPE_CHECKING:
    from ppcls.inference.predictor import Classifier

EXAMPLES = (
    "ppcls predict --model EfficientNetLite0 --pretrained photo.jpg",
    "ppcls predict --model_dir output/my_photos/inference photos/ --output found.csv",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    networks = cli.add_arguments(parser)
    networks.add_argument(
        "--model", metavar="NAME", help="a network with published weights (ppcls weights list)"
    )
    parser.add_argument(
        "--pretrained",
        action="store_true",
        help="with --model: use its published weights; fetched on first use unless installed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Predict and print, or write a file; see `ppcls.inference.cli`."""
    if arguments.model is None:
        if arguments.pretrained:
            raise UsageError("--pretrained belongs to --model; a bundle has weights of its own")
        return cli.run(arguments)
    if not arguments.pretrained:
        raise UsageError(
            f"--model {arguments.model} alone is untrained and knows nothing: add --pretrained for "
            "its published weights. Weights of your own: ppcls infer -c CONFIG, or --model_dir "
            "with an exported bundle"
        )
    for name, usual in (("engine", "auto"), ("precision", "fp32")):
        if getattr(arguments, name) != usual:
            raise UsageError(
                f"--{name} belongs to --model_dir; published weights run as they are in Python"
            )
    return cli.run(arguments, lambda: _published(arguments))


def _published(arguments: argparse.Namespace) -> Classifier:
    """Return a network with its published weights, preprocessing, and ImageNet's classes."""
    from ppcls.inference.predictor import refuse_below_one

    refuse_below_one(threads=arguments.threads)
    if arguments.threads:
        os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    runtime.prepare()
    from ppcls.api.published import published_classifier

    runtime.keep_freed_memory()
    return published_classifier(
        arguments.model, arguments.device, arguments.batch_size, arguments.topk
    )
