"""Weight files: reading, writing, fetching, and fitting them to a network.

`load` gives a network its weights, whatever they come from; `read` returns a file before there is a
network; `save_weights` writes one; `from_reference` builds another toolkit's network.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppcls.weights.load_report import LoadReport
    from ppcls.weights.network_weights import load
    from ppcls.weights.reference_network import from_reference
    from ppcls.weights.weight_file import WeightFile, read, save_weights

__all__ = ["LoadReport", "WeightFile", "from_reference", "load", "read", "save_weights"]

_LAZY = {
    "LoadReport": "ppcls.weights.load_report",
    "WeightFile": "ppcls.weights.weight_file",
    "from_reference": "ppcls.weights.reference_network",
    "load": "ppcls.weights.network_weights",
    "read": "ppcls.weights.weight_file",
    "save_weights": "ppcls.weights.weight_file",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'ppcls.weights' has no attribute '{name}'")
