"""``ppcls predict``: say what is in images, by an exported bundle or by published weights."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppcls import runtime
from ppcls.errors import UsageError
from ppcls.inference import cli

if TYPE_CHECKING:
    from ppcls.inference.predictor import Classifier
    from ppcls.weights.hub.records import Record

_log = logging.getLogger("ppcls")

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
    from ppcls.data.imagenet_classes import imagenet_classes
    from ppcls.data.transforms import Pipeline
    from ppcls.files import sha256_of
    from ppcls.inference.engines.network import NetworkEngine
    from ppcls.inference.postprocess import TOPK, Topk
    from ppcls.inference.predictor import Classifier, refuse_below_one
    from ppcls.registry import parse
    from ppcls.weights.hub.published import published_weights
    from ppcls.weights.hub.records import find_record

    numbers = {name: getattr(arguments, name) for name in ("batch_size", "threads", "topk")}
    refuse_below_one(**numbers)
    record = find_record(arguments.model)
    if arguments.threads:
        os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    runtime.prepare()
    runtime.use_device(arguments.device, to_cpu="--device cpu")
    names = imagenet_classes().names
    path = published_weights(record.name)
    return Classifier(
        Pipeline([parse("transform", op) for op in record.transform_ops()]),
        (3, record.crop, record.crop),
        NetworkEngine(_network(record, path)),
        Topk(min(arguments.topk or TOPK, len(names)), label_list=names),
        arguments.batch_size,
        {"network": record.name, "weights": sha256_of(path)},
    )


def _network(record: Record, path: Path) -> Any:
    from ppcls import weights
    from ppcls.arch import create_model

    network = create_model(record.network)
    weights.load(network, path)
    network.eval()  # type: ignore[union-attr]
    _log.info("weights: %s", path)
    return network
