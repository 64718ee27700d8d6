"""A written format against the network that it was made from, each run by its own engine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict

import numpy as np
from paddle import nn

from ppcls.errors import BundleError, ExportError
from ppcls.exporters.formats import FORMATS, STEM
from ppcls.exporters.parity import Parity, is_saturated, measure
from ppcls.exporters.static import device_of
from ppcls.inference.bundle import Bundle
from ppcls.inference.engines import ENGINES, Engine, EngineOptions, installed_engines, open_engine


@dataclass(frozen=True)
class Comparison:
    """How closely a format repeats the network, and which engine ran it."""

    parity: Parity
    engine: Dict[str, Any]

    def to_dict(self) -> Dict[str, Any]:
        """Return plain values, as parity.json holds them."""
        return {**self.parity.to_dict(), "engine": self.engine}


def compare_format(
    model: nn.Layer, bundle: Bundle, name: str, images: np.ndarray, logits: np.ndarray, kind: str
) -> Comparison:
    """Compare a bundle's format of that name with the network.

    Args:
        model: the network that the bundle was made from.
        bundle: what was written.
        name: a key of `bundle.formats`.
        images: float32 [n, c, h, w].
        logits: what the network makes of them, float32 [n, classes].
        kind: what kind of images they are.

    Raises:
        ExportError: they differ by more than `ppcls.exporters.parity.TOLERANCE`, or the engine does
            not open the format, or does not accept what is in it.
    """
    engine = _open(model, bundle, name)
    static_logits = None
    if is_saturated(logits).any():
        static_logits = _static_logits(model, bundle, name, images)
    parity = measure(logits, _run(engine, images), kind, static_logits)
    if not parity.passed:
        raise ExportError(
            f"the exported network ({name}) differs from the network by {parity.worst:.1e} on "
            f"{parity.images} images, {parity.tolerance:.0e} is allowed ({parity.describe()}); "
            "nothing was kept. Weights that amplify rounding, as those of a deep untrained network "
            "do, can be the reason: does `ppcls eval` find this network good?"
        )
    return Comparison(parity, engine.describe())


def _open(model: nn.Layer, bundle: Bundle, name: str) -> Engine:
    """Open a format where the network is, or on the CPU if its engine runs nowhere else."""
    engine = installed_engines([name])[0]
    device = device_of(model) if ENGINES[engine].on_gpu else "cpu"
    try:
        return open_engine(engine, bundle, EngineOptions(device))
    except BundleError as error:
        raise ExportError(
            f"the exported network ({name}) cannot be used, nothing was kept: {error}"
        ) from None


def _static_logits(model: nn.Layer, bundle: Bundle, name: str, images: np.ndarray) -> np.ndarray:
    """Run the network without softmax, which shows what a saturated softmax hides."""
    with tempfile.TemporaryDirectory(dir=bundle.folder.parent) as aside:
        files = FORMATS[name](model, Path(aside) / STEM, bundle.input_shape, False)
        return _run(_open(model, replace(bundle, formats={name: files}), name), images)


def _run(engine: Engine, images: np.ndarray) -> np.ndarray:
    """Run one image alone and the others in batches of eight: the network must take both."""
    starts = [0, *range(1, len(images), 8)]
    batches = [images[start:end] for start, end in zip(starts, [*starts[1:], len(images)])]
    return np.concatenate([engine.run(batch) for batch in batches])
