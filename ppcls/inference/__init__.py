"""Predictions from exported bundles: no training code, and no Paddle until an engine is opened.

from ppcls.inference import Predictor

for prediction in Predictor("output/bundle")(["cat.jpg", "dog.jpg"]):
    print(prediction.source, prediction.answer, prediction.scores)
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["Bundle", "Prediction", "Predictor", "read_bundle"]

_LAZY = {
    "Bundle": "ppcls.inference.bundle",
    "read_bundle": "ppcls.inference.bundle",
    "Prediction": "ppcls.inference.predictor",
    "Predictor": "ppcls.inference.predictor",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'ppcls.inference' has no attribute '{name}'")
