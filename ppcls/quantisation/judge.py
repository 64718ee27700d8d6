"""An engine in a lower precision against the same engine in float32, on the same images."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from ppcls.inference.bundle import Bundle
from ppcls.inference.engines import Engine, EngineOptions, open_engine
from ppcls.quantisation.accuracy import Change, change_of
from ppcls.quantisation.images import ImageSet

FLOAT_FORMATS = ("onnx", "openvino")


@dataclass(frozen=True)
class Trial:
    """What an engine makes of the judged images in a precision, and in float32.

    Attributes:
        engine: its name.
        precision: the lower one.
        change: of the accuracy.
        milliseconds_before, milliseconds_after: for an image alone, medians.
        about: what the engine says of itself.
    """

    engine: str
    precision: str
    change: Change
    milliseconds_before: float
    milliseconds_after: float
    about: Dict[str, Any]

    @property
    def speed(self) -> float:
        """The time after, divided by the time before."""
        return self.milliseconds_after / self.milliseconds_before

    def to_dict(self) -> Dict[str, Any]:
        """Return plain values."""
        return {
            **self.change.to_dict(),
            "milliseconds_before": self.milliseconds_before,
            "milliseconds_after": self.milliseconds_after,
            "speed": self.speed,
            "engine": self.about,
        }


def judge_precision(
    bundle: Bundle,
    engine: str,
    precision: str,
    formats: Sequence[str],
    judged: ImageSet,
    threads: Optional[int] = None,
) -> Trial:
    """Run the judged images through an engine in float32 and in another precision, in turns.

    Args:
        bundle: holds both networks.
        engine: a key of `ppcls.inference.engines.ENGINES`, which runs on CPUs.
        precision: the other precision.
        formats: those that it may be opened from.
        judged: with classes.
        threads: of the engine; None is one per core.

    Raises:
        UsageError: the engine or the precision is not there.
        BundleError: the engine cannot load or run a network.
        BadImageError: an image cannot be read.
    """
    before = _open(bundle, engine, "fp32", FLOAT_FORMATS, threads)
    after = _open(bundle, engine, precision, formats, threads)
    runs = [_Run(before), _Run(after)]
    for batch in judged.prepared(bundle.pipeline()):
        for run in runs:
            run.predict(batch)
    first, second = (np.concatenate(run.rows) for run in runs)
    classes = judged.classes
    if classes is None:
        raise ValueError("images that judge have classes")
    milliseconds = [1000 * median(run.seconds) for run in runs]
    change = change_of(first, second, classes)
    return Trial(engine, precision, change, milliseconds[0], milliseconds[1], after.describe())


def _open(
    bundle: Bundle, engine: str, precision: str, formats: Sequence[str], threads: Optional[int]
) -> Engine:
    held = {name: files for name, files in bundle.formats.items() if name in formats}
    options = EngineOptions("cpu", threads, precision, batch_size=1)
    return open_engine(engine, replace(bundle, formats=held), options)


class _Run:
    """An engine, and what it gave so far."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.rows: List[np.ndarray] = []
        self.seconds: List[float] = []

    def predict(self, batch: np.ndarray) -> None:
        if not self.rows:  # the first call takes memory and chooses kernels
            self.engine.run(batch)
        start = time.perf_counter()
        rows = self.engine.run(batch)
        self.seconds.append(time.perf_counter() - start)
        self.rows.append(rows)
