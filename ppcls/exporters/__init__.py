"""From a trained network to a bundle that predicts the same without the training code.

Importing it loads nothing heavy: what writes a bundle loads Paddle when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppcls.exporters.bundle import ExportReport, Processing, export_bundle
    from ppcls.exporters.form import ExportOptions
    from ppcls.exporters.parity import Parity

__all__ = ["OPSET", "ExportOptions", "ExportReport", "Parity", "Processing", "export_bundle"]

OPSET = 14
"""The version of ONNX' operators: the first with all that the networks need. Without its HardSwish,
MobileNetV3 takes a quarter longer in OpenVINO.
"""

_HOMES = {"ExportOptions": "form", "Parity": "parity"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ppcls.exporters' has no attribute '{name}'")
    home = _HOMES.get(name, "bundle")
    return getattr(importlib.import_module(f"ppcls.exporters.{home}"), name)
