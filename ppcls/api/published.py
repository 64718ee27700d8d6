"""Published weights, ready to predict: network, preprocessing, and ImageNet's classes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Optional

from ppcls import runtime, weights
from ppcls.arch import create_model
from ppcls.arch.acceleration import accelerate_on
from ppcls.data.imagenet_classes import imagenet_classes
from ppcls.data.transforms import Pipeline
from ppcls.files import sha256_of
from ppcls.inference.engines.network import NetworkEngine
from ppcls.inference.postprocess import TOPK, Topk
from ppcls.inference.predictor import Classifier, refuse_below_one
from ppcls.weights.hub.published import published_weights
from ppcls.weights.hub.records import Record, find_record

_log = logging.getLogger("ppcls")


def published_classifier(
    name: str, device: str = "auto", batch_size: int = 8, topk: Optional[int] = None
) -> Classifier:
    """Return a network with its published weights, which are fetched if need be.

    Args:
        name: of the weights, as `ppcls weights list` shows it.
        device: auto, cpu, gpu or gpu:N.
        batch_size: images per step.
        topk: classes per image; 5 unless given.

    Raises:
        UsageError: there are no such weights, the device is not there, or a number is below 1.
        DownloadError: they cannot be had.
    """
    refuse_below_one(batch_size=batch_size, topk=topk)
    record = find_record(name)
    runtime.prepare()
    device = runtime.use_device(device, to_cpu="--device cpu")
    names = imagenet_classes().names
    path = published_weights(record.name)
    return Classifier(
        Pipeline(record.transform_ops()),
        (3, record.crop, record.crop),
        NetworkEngine(_network(record, path, device)),
        Topk(min(topk or TOPK, len(names)), label_list=names),
        batch_size,
        {"network": record.name, "weights": sha256_of(path)},
    )


def _network(record: Record, path: Path, device: str) -> Any:
    network = create_model(record.network)
    weights.load(network, path)
    network.eval()  # type: ignore[union-attr]
    _log.info("weights: %s; operators: %s", path, accelerate_on(device, network))
    return network
