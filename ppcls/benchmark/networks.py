"""Networks by name as bundles: with published weights where they are at hand, else random ones."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import ppcls
from ppcls import registry
from ppcls.arch.family_data import networks
from ppcls.errors import BundleError, UsageError, did_you_mean
from ppcls.files import cache_folder
from ppcls.inference.bundle import Bundle, read_bundle
from ppcls.weights.hub.local import locate
from ppcls.weights.hub.records import Record, find_record, record_names

SEED = 0
DAMPING = 0.6
"""Scales of the normalisations of a random network: fresh ones amplify rounding as no trained
network does, and would fail the check of the bundle.
"""

_log = logging.getLogger("ppcls")


def bundle_of(name: str, cache: Optional[Path] = None) -> Bundle:
    """Return a network's bundle; it is exported when it is asked for the first time.

    Args:
        name: of a registered network.
        cache: the folder of the bundles; None is `benchmark` in the cache folder of the toolkit.

    Raises:
        UsageError: there is no such network.
        ExportError: it cannot be exported.
    """
    if name not in registry.names("arch"):
        known = registry.names("arch")
        raise UsageError(
            f"there is no network '{name}'.{did_you_mean(name, known)} `ppcls models` lists all"
        )
    record = _record_at_hand(name)
    formats = _formats()
    folder = _folder(name, record, formats, cache or cache_folder() / "benchmark")
    try:
        return read_bundle(folder)
    except BundleError:
        _log.info("exporting %s with %s to %s", name, weights_of(record), folder)
        _export(name, record, formats, folder)
    return read_bundle(folder)


def weights_of(record: Optional[Record]) -> str:
    """Say where weights come from."""
    return f"random weights, seed {SEED}" if record is None else f"published weights ({record.by})"


def are_random(bundle: Bundle) -> bool:
    """Whether the bundle's weights were never trained, so that its answers mean nothing."""
    return str(bundle.provenance.get("weights", "")).startswith("random weights")


def network_of(bundle: Bundle) -> str:
    """Return our name of a bundle's network, which the bundle may call as PaddleX does."""
    arch = bundle.provenance.get("arch")
    name = arch.get("name") if isinstance(arch, dict) else None
    return name if isinstance(name, str) else bundle.model_name


def published_top1(name: str) -> Optional[float]:
    """Return the accuracy that was published for a network of this name, a fraction."""
    known = networks().get(name)
    return known.published.top1 if known and known.published else None


def _record_at_hand(name: str) -> Optional[Record]:
    """Return the published weights of a network if they need not be fetched."""
    record = find_record(name) if name in record_names() else None
    return record if record and locate(record).path else None


def _formats() -> List[str]:
    with_onnx = all(map(importlib.util.find_spec, ("paddle2onnx", "onnxruntime")))
    return ["paddle", "onnx"] if with_onnx else ["paddle"]


def _folder(name: str, record: Optional[Record], formats: List[str], cache: Path) -> Path:
    """Return the place of a bundle, which another version of anything has elsewhere."""
    from importlib.metadata import version

    from ppcls import runtime

    runtime.prepare()
    import paddle

    from ppcls.exporters.form import OPSET

    parts = [name, "published" if record else f"random{SEED}", f"ppcls{ppcls.__version__}"]
    parts.append(f"paddle{paddle.__version__}")
    if "onnx" in formats:
        parts += [f"paddle2onnx{version('paddle2onnx')}", f"opset{OPSET}"]
    return cache / "-".join(parts)


def _export(name: str, record: Optional[Record], formats: List[str], folder: Path) -> None:
    from ppcls.data.dataset import ClassMap
    from ppcls.data.imagenet_classes import imagenet_classes
    from ppcls.data.transforms import Pipeline
    from ppcls.exporters import Processing, export_bundle
    from ppcls.exporters.form import ExportOptions

    network = _network(name, record)
    ops = record.transform_ops() if record else _usual_ops(network)
    classes = imagenet_classes()
    export_bundle(
        network,
        folder,
        Processing(
            Pipeline([registry.parse("transform", op) for op in ops]),
            classes if network.class_num == len(classes) else ClassMap.numbered(network.class_num),
        ),
        formats=formats,
        provenance={"weights": weights_of(record), "arch": {"name": name}},
        options=ExportOptions(model_name=name),
        overwrite=True,
    )


def _network(name: str, record: Optional[Record]) -> Any:
    import paddle

    from ppcls import weights
    from ppcls.arch import create_model
    from ppcls.weights.hub.published import published_weights

    paddle.seed(SEED)
    network = create_model(name)
    weights.load(network, published_weights(record.name) if record else _damped(network))
    network.eval()
    return network


def _damped(network: Any) -> Dict[str, Any]:
    """Return the arrays of a fresh network, those of normalisations damped."""
    from paddle import nn

    from ppcls.weights.weight_file import arrays_of

    arrays = arrays_of(network)
    norms = [
        f"{path}.weight"
        for path, layer in network.named_sublayers()
        if isinstance(layer, nn.BatchNorm2D)
    ]
    return {**arrays, **{path: arrays[path] * DAMPING for path in norms}}


def _usual_ops(network: Any) -> List[Dict[str, Dict[str, Any]]]:
    """Return the preprocessing that was published for a network, or what is usual for its size."""
    resize, crop = _sizes(network.model_name, network.input_size)
    gray = {"channel_num": 1} if network.in_channels == 1 else {}
    mean_and_std = {"mean": [0.5], "std": [0.5], **gray} if gray else {}
    return [
        {"DecodeImage": {"to_rgb": True, "channel_first": False, **gray}},
        {"ResizeImage": {"resize_short": resize}},
        {"CropImage": {"size": crop}},
        {"NormalizeImage": {"scale": "1.0/255.0", "order": "", **mean_and_std}},
        {"ToCHWImage": {}},
    ]


def _sizes(name: str, input_size: int) -> Tuple[int, int]:
    known = networks().get(name)
    if known and known.published:
        return known.published.resize, known.published.crop
    return round(input_size * 256 / 224), input_size
