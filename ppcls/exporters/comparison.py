"""A written format against the network that it was made from, run by every engine that opens it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import numpy as np
from paddle import nn

from ppcls.errors import BundleError, ExportError, UsageError
from ppcls.exporters.form import Form
from ppcls.exporters.formats import FORMATS, STEM
from ppcls.exporters.parity import Parity, is_saturated, measure
from ppcls.exporters.static import device_of
from ppcls.inference.bundle import Bundle
from ppcls.inference.engines import (
    Engine,
    EngineOptions,
    engines_for,
    is_installed,
    open_engine,
)


@dataclass(frozen=True)
class Sample:
    """Images, and what the network makes of them in Python.

    Attributes:
        images: normalised, float32 [n, c, h, w].
        kind: what kind of images they are.
        logits: of the network, float32 [n, classes].
    """

    images: np.ndarray
    kind: str
    logits: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """How closely a format repeats the network when an engine runs it."""

    parity: Parity
    engine: Dict[str, Any]

    def to_dict(self) -> Dict[str, Any]:
        """Return plain values, as parity.json holds them."""
        return {**self.parity.to_dict(), "engine": self.engine}


def compare_format(
    model: nn.Layer, bundle: Bundle, name: str, form: Form, sample: Sample
) -> Dict[str, Comparison]:
    """Compare a bundle's format of that name with the network, in each installed engine.

    Args:
        model: the network that the bundle was made from.
        bundle: what was written.
        name: a key of `bundle.formats`.
        form: how its network takes images.
        sample: what both are given.

    Returns:
        Name of an engine -> its comparison.

    Raises:
        ExportError: they differ by more than `ppcls.exporters.parity.TOLERANCE`, or the engine does
            not open the format, or does not accept what is in it.
    """
    device, images = device_of(model), form.taken(sample.images)
    # Those that run on CPUs: TensorRT, which runs on GPUs alone, builds for minutes.
    names = [engine for engine in engines_for([name], "cpu") if is_installed(engine)]
    hidden = form.multi_label or is_saturated(sample.logits).any()
    found = {}
    for engine in names:
        opened = _open(bundle, name, engine, device)
        found[engine] = (_run(opened, images, form), opened.describe())
    logits: Dict[str, np.ndarray] = {}
    if hidden:
        logits = _static_logits(
            model,
            bundle,
            name,
            form,
            lambda aside: {
                engine: _run(_open(aside, name, engine, device), images, form) for engine in names
            },
        )
    return {
        engine: _compared(
            f"{name} in {engine}", sample, result, described, logits.get(engine), form.multi_label
        )
        for engine, (result, described) in found.items()
    }


def _open(bundle: Bundle, name: str, engine: str, device: str) -> Engine:
    """Open a format where the network is, or on the CPU if the engine does not run there."""
    alone = replace(bundle, formats={name: bundle.formats[name]})
    try:
        try:
            return open_engine(engine, alone, EngineOptions(device))
        except UsageError:
            if device == "cpu":
                raise
            return open_engine(engine, alone, EngineOptions("cpu"))
    except BundleError as error:
        raise ExportError(
            f"the exported network ({name}) cannot be used, nothing was kept: {error}"
        ) from None


def _static_logits(
    model: nn.Layer,
    bundle: Bundle,
    name: str,
    form: Form,
    run: Callable[[Bundle], Dict[str, np.ndarray]],
) -> Dict[str, np.ndarray]:
    """Run the network without softmax or sigmoid, which shows what a saturated one hides."""
    with tempfile.TemporaryDirectory(dir=bundle.folder.parent) as aside:
        files = FORMATS[name](model, Path(aside) / STEM, bundle.input_shape, False, form)
        return run(replace(bundle, formats={name: files}))


def _compared(
    what: str,
    sample: Sample,
    probabilities: np.ndarray,
    described: Dict[str, Any],
    logits: Optional[np.ndarray],
    multi_label: bool,
) -> Comparison:
    """Measure what an engine gave.

    Raises:
        ExportError: it differs too much.
    """
    parity = measure(sample.logits, probabilities, sample.kind, logits, multi_label)
    if not parity.passed:
        raise ExportError(
            f"the exported network ({what}) differs from the network by {parity.worst:.1e} on "
            f"{parity.images} images, {parity.tolerance:.0e} is allowed ({parity.describe()}); "
            "nothing was kept. Weights that amplify rounding, as those of a deep untrained network "
            "do, can be the reason: does `ppcls eval` find this network good?"
        )
    return Comparison(parity, described)


def _run(engine: Engine, images: np.ndarray, form: Form) -> np.ndarray:
    """Run one image alone and the others in batches of eight: the network must take both; or each
    alone, where it takes no more.
    """
    starts = range(len(images)) if form.batch else [0, *range(1, len(images), 8)]
    batches = [images[start:end] for start, end in zip(starts, [*starts[1:], len(images)])]
    return np.concatenate([engine.run(batch) for batch in batches])
