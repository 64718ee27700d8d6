"""Features of images by a frozen network, in the fastest engine at hand; kept for the next time."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Sequence

import numpy as np
import paddle

from ppcls.arch.network import Network
from ppcls.arch.pooled_features import PooledFeatures
from ppcls.data.batch import BadImage, Batch
from ppcls.exporters.form import PLAIN
from ppcls.exporters.formats import FORMATS, STEM, format_obstacle, writing_order
from ppcls.exporters.static import Shape
from ppcls.files import cache_folder, replacing, write_text
from ppcls.inference.bundle import Bundle
from ppcls.inference.description import CONFIG_NAME, InputKeys
from ppcls.inference.engines import EngineOptions
from ppcls.inference.engines.auto import open_fastest

BATCH = 16
"""Images at once: engines are hardly faster with more."""

MOST_BYTES = 1 << 30
"""Of all features that are kept."""

_log = logging.getLogger("ppcls")

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Features:
    """Of the readable images of a set, in its order.

    Attributes:
        values: float32 [n, features].
        flipped: the same of the images turned left to right; None where they were not asked for.
        indices: int64 [n], the images' numbers in the set.
        bad: those that could not be read.
    """

    values: np.ndarray
    flipped: Optional[np.ndarray]
    indices: np.ndarray
    bad: List[BadImage]


def features_of(
    batches: Iterable[Batch],
    run: Run,
    flip: bool = False,
    progress: Callable[[int], object] = lambda count: None,
) -> Features:
    """Compute the features of all images.

    Args:
        batches: of a loader.
        run: images float32 [n, c, h, w] -> features [n, d]; see `open_features`.
        flip: whether to compute those of the flipped images as well.
        progress: is told how many images are done, batch by batch.
    """
    values: List[np.ndarray] = []
    flipped: List[np.ndarray] = []
    indices: List[np.ndarray] = []
    bad: List[BadImage] = []
    for batch in batches:
        bad += batch.bad
        if len(batch):
            values.append(run(batch.images))
            indices.append(batch.indices)
            if flip:
                flipped.append(run(np.ascontiguousarray(batch.images[..., ::-1])))
        progress(len(batch) + len(batch.bad))
    joined = [np.concatenate(parts) if parts else np.empty((0, 1)) for parts in (values, flipped)]
    numbers = np.concatenate(indices) if indices else np.empty(0, np.int64)
    return Features(joined[0], joined[1] if flip else None, numbers, bad)


@dataclass(frozen=True)
class FeatureEngine:
    """A network's features in an engine.

    Attributes:
        run: images float32 [n, c, h, w] -> features float32 [n, d].
        name: of the engine, for people.
    """

    run: Run
    name: str


def open_features(network: Network, shape: Sequence[int], device: str) -> FeatureEngine:
    """Return what computes the features of a network: on CPUs the fastest of the engines that are
    installed, of which Paddle's own dynamic graph is the slowest by far; on a GPU that.

    Args:
        network: with a last fully connected layer.
        shape: of an image, (c, h, w).
        device: "cpu" or "gpu:N".

    Raises:
        ExportError: Paddle cannot make a static program of the network.
    """
    features = PooledFeatures(network)
    features.eval()
    if device != "cpu":
        return FeatureEngine(_in_python(features), f"Paddle on {device}")
    # Engines hold what they read: the files are not needed any more once one is open.
    with tempfile.TemporaryDirectory() as folder:
        bundle = _bundle(features, network, Path(folder), (shape[0], shape[1], shape[2]))
        engine = open_fastest(bundle, EngineOptions("cpu", batch_size=BATCH)).engine
    return FeatureEngine(_in_whole_batches(engine.run), str(engine.describe()["name"]))


def _in_python(features: PooledFeatures) -> Run:
    def run(images: np.ndarray) -> np.ndarray:
        with paddle.no_grad():
            return np.asarray(features(paddle.to_tensor(images)).numpy())

    return run


def _in_whole_batches(compute: Run) -> Run:
    """Fill up the last batch: engines prepare for a number of images, and again for another."""

    def run(images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), BATCH):
            part = images[start : start + BATCH]
            missing = BATCH - len(part)
            filled = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            parts.append(np.array(compute(filled)[: len(part)], np.float32))
        return np.concatenate(parts)

    return run


def _bundle(features: PooledFeatures, network: Network, folder: Path, shape: Shape) -> Bundle:
    """Write the features' network in the formats that can be written here, as engines take it."""
    formats = {}
    for name in writing_order(("paddle", "onnx")):
        if name == "paddle" or format_obstacle(name) is None:
            formats[name] = FORMATS[name](features, folder / STEM, shape, False, PLAIN)
    # Which engine is the fastest is remembered for the structure, whatever the weights.
    about = {"features": network.model_name, "arguments": dict(network.model_arguments)}
    write_text(folder / CONFIG_NAME, json.dumps({**about, "shape": shape}, default=str))
    taken = InputKeys(channels=shape[0], height=shape[1], width=shape[2])
    return Bundle(folder, network.model_name, formats, [], [], 1, taken, {})


# --- kept features -----------------------------------------------------------------------------


def kept(key: Dict[str, object], compute: Callable[[], Features]) -> Features:
    """Return the features that were computed for `key` before, or compute and keep them.

    Args:
        key: plain values: all that they depend on.
        compute: makes them; those of sets with unreadable images are not kept.
    """
    text = json.dumps(key, sort_keys=True)
    folder = cache_folder() / "features"
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors"
    found = _recalled(path)
    if found is None:
        found = compute()
        if not found.bad and len(found.values):
            _keep(path, found)
    return found


def _recalled(path: Path) -> Optional[Features]:
    from safetensors.numpy import load_file

    try:
        arrays = load_file(path)
        path.touch()
        return Features(arrays["values"], arrays.get("flipped"), arrays["indices"], [])
    except Exception:  # damaged, from another version, or not there: computed again
        return None


def _keep(path: Path, found: Features) -> None:
    from safetensors.numpy import save_file

    arrays = {"values": found.values, "indices": found.indices}
    if found.flipped is not None:
        arrays["flipped"] = found.flipped
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            save_file(arrays, draft)
        _remove_oldest(path.parent)
    except OSError as error:
        _log.info("the features are not kept: %s", error)


def _remove_oldest(folder: Path) -> None:
    """Keep the folder below `MOST_BYTES`; what was used last stays."""
    files = sorted(folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)
    total = sum(file.stat().st_size for file in files)
    for file in files[:-1]:
        if total <= MOST_BYTES:
            return
        total -= file.stat().st_size
        file.unlink(missing_ok=True)
