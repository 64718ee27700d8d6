"""The engines that run a bundle's program, by name. Each is imported only when it is opened.

A new engine is one module with a class like `Engine`, and one row of `ENGINES`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Dict, Optional, Protocol

import numpy as np

from ppcls.errors import UsageError, did_you_mean
from ppcls.inference.bundle import Bundle

ENGINES: Dict[str, str] = {
    "paddle": "ppcls.inference.engines.paddle_inference:PaddleEngine",
}
"""Name of an engine -> where its class stands."""


@dataclass(frozen=True)
class EngineOptions:
    """How an engine runs: `device` is auto, cpu, gpu or gpu:N; `threads` None is one per core."""

    device: str = "auto"
    threads: Optional[int] = None


class Engine(Protocol):
    """A loaded network. One caller at a time: engines are not safe to share between threads."""

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 [n, classes], of images, float32 [n, c, h, w]."""

    def describe(self) -> Dict[str, Any]:
        """Return the engine's name, version, device and settings, as plain values."""


def open_engine(name: str, bundle: Bundle, options: Optional[EngineOptions] = None) -> Engine:
    """Load a bundle's program with an engine.

    Raises:
        UsageError: no engine has this name, it is not installed, or the device is not there.
        BundleError: the engine cannot load the program.
    """
    if name not in ENGINES:
        raise UsageError(
            f"unknown engine '{name}'.{did_you_mean(name, ENGINES)} Accepted: {', '.join(ENGINES)}"
        )
    module, _, class_name = ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module), class_name)(
        bundle, options or EngineOptions()
    )
    return engine
