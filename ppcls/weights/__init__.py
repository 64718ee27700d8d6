"""Weight files: reading, writing, fetching, and fitting them to a network."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["from_reference"]

_LAZY = {"from_reference": "ppcls.weights.importing"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'ppcls.weights' has no attribute '{name}'")
