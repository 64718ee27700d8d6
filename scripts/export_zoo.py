"""Export every network of the zoo in every format, and count how closely each engine repeats it.

``python scripts/export_zoo.py RESULTS.jsonl [--images FOLDER] [NETWORK ...]`` adds a line for each
network and prints a table of the whole file, so that a run that was stopped goes on where it was.
The weights are drawn, not trained: what an export repeats is the arithmetic.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ppcls import runtime  # noqa: E402

runtime.prepare()

import numpy as np  # noqa: E402
import paddle  # noqa: E402

from ppcls.arch import create_model, list_models  # noqa: E402
from ppcls.arch.network import Network  # noqa: E402
from ppcls.data.dataset import ClassMap  # noqa: E402
from ppcls.data.transforms import Pipeline  # noqa: E402
from ppcls.errors import PpclsError  # noqa: E402
from ppcls.exporters import Processing, export_bundle  # noqa: E402
from ppcls.exporters.formats import FORMATS  # noqa: E402
from ppcls.exporters.static import run_dynamic  # noqa: E402
from ppcls.inference.sources import find_images  # noqa: E402
from ppcls.registry import parse  # noqa: E402
from ppcls.text import markdown_table  # noqa: E402

_DRAWN = np.random.default_rng(0).standard_normal(65_537).astype("float32")
"""What weights are filled with; a prime number of values, so that few rows are alike."""

_SPREAD = 3.0
"""Standard deviation of the logits of a trained network, about."""


def fill(network: Network) -> None:
    """Give a network weights of the usual size; drawing each takes longer than all the rest.

    Fresh weights make deep networks amplify rounding as no trained one does, up to 1e6 times:
    damped normalisations keep two ways of computing the same comparable.
    """
    for number, layer in enumerate(network.sublayers()):
        if isinstance(layer, (paddle.nn.Conv2D, paddle.nn.Linear)):
            shape = layer.weight.shape
            inputs = shape[0] if isinstance(layer, paddle.nn.Linear) else np.prod(shape[1:])
            drawn = np.resize(np.roll(_DRAWN, 997 * number), shape)
            layer.weight.set_value(drawn * np.float32((2 / inputs) ** 0.5))
            if layer.bias is not None:  # above 0, or few classes may all end at a ReLU's 0
                layer.bias.set_value(np.full(layer.bias.shape, 0.1, "float32"))
    for value in network.state_dict().values():
        if not value._is_initialized():
            value.initialize()
    for layer in network.sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            layer.weight.set_value(layer.weight * 0.6)


def moderate(network: Network, images: np.ndarray) -> None:
    """Scale the last layer of a network so that its logits for `images` are of a usual size.

    Networks without normalisation make thousands of drawn weights, and deep ones with it make all
    logits alike; either way rounding alone would decide between classes.
    """
    kinds = (paddle.nn.Conv2D, paddle.nn.Linear)
    layers = [x for x in network.head.sublayers(include_self=True) if isinstance(x, kinds)]
    spread = float(run_dynamic(network, images).std())
    if spread > 0:
        layers[-1].weight.set_value(layers[-1].weight * (_SPREAD / spread))


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the script; 1 if a network could not be exported."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("networks", nargs="*", default=list_models())
    parser.add_argument("--images", help="a folder of photos; random numbers where there is none")
    parser.add_argument("--count", type=int, default=3, help="how many of them")
    parser.add_argument("--small", action="store_true", help="small images: ten times as fast")
    given = parser.parse_args(arguments)
    photos = find_images([given.images])[: given.count] if given.images else []
    done = {row["network"] for row in _rows(given.results)}
    for name in given.networks:
        if name not in done:
            row = _exported(name, photos, given.small)
            with given.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(name, row["error"] if "error" in row else f"{row['seconds']:.0f} s", flush=True)
    rows = list(_rows(given.results))
    print(_table(rows))
    return int(any("error" in row for row in rows))


def _rows(path: Path) -> Iterator[Dict[str, Any]]:
    if path.is_file():
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def _exported(name: str, photos: List[str], small: bool) -> Dict[str, Any]:
    """Export a network; return its differences by format and engine, or why there are none."""
    started = time.perf_counter()
    gc.collect()
    with paddle.LazyGuard():
        network = create_model(name)
    fill(network)
    side = smallest_side(network) if small else network.input_size
    transform = _transform(network.in_channels, side)
    images = [transform(Path(path).read_bytes()) for path in photos] or None
    shape = (1, network.in_channels, side, side)
    moderate(network, np.stack(images) if images else np.ones(shape, np.float32))
    labels = ClassMap.numbered(network.class_num)
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = export_bundle(
                network,
                Path(folder) / "bundle",
                Processing(transform, labels),
                formats=list(FORMATS),
                images=images,
            )
        except PpclsError as error:
            return {"network": name, "error": str(error)}
    worst = {
        f"{format} {engine}": [parity.worst, parity.top1_agreement]
        for format, engines in report.parity.items()
        for engine, parity in engines.items()
    }
    seconds = time.perf_counter() - started
    return {"network": name, "side": side, "seconds": seconds, "worst": worst}


def smallest_side(network: Network) -> int:
    """Return the side of small images that every format takes.

    ONNX has adaptive pooling to one pixel only; to several, maps must have that size already.
    """
    pools = [x for x in network.sublayers() if isinstance(x, paddle.nn.AdaptiveAvgPool2D)]
    if any(pool._output_size != 1 for pool in pools):
        return network.input_size
    return max(network.min_input_size, 32 if network.input_size == 32 else 64)


def _transform(channels: int, side: int) -> Pipeline:
    """Return the usual preprocessing for a number of channels and a side."""
    ops = [
        {"DecodeImage": {"channel_num": channels}},
        {"ResizeImage": {"resize_short": round(side * 256 / 224)}},
        {"CropImage": {"size": side}},
        {"NormalizeImage": {"mean": [0.45] * channels, "std": [0.225] * channels, "order": ""}},
    ]
    return Pipeline([parse("transform", op) for op in ops])


def _table(rows: List[Dict[str, Any]]) -> str:
    """Return a row for each format and engine: networks, the worst of them, and by how much."""
    found: Dict[str, List[Tuple[float, float, str]]] = {}
    for row in rows:
        for what, (worst, agreement) in row.get("worst", {}).items():
            found.setdefault(what, []).append((worst, agreement, row["network"]))
    lines = [["format", "engine", "networks", "largest difference", "of", "same top-1"]]
    for what, values in found.items():
        worst, _, network = max(values)
        same = np.mean([agreement for _, agreement, _ in values])
        lines.append([*what.split(), str(len(values)), f"{worst:.1e}", network, f"{same:.1%}"])
    failed = [f"{row['network']}: {row['error']}" for row in rows if "error" in row]
    return "\n".join([markdown_table(lines, left=[0, 1, 4]), *failed])


if __name__ == "__main__":
    sys.exit(main())
