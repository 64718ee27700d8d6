"""Image classification on PaddlePaddle: YAML in, a trained, exported, served model out.

The functions are loaded on first use, so that importing the package stays fast and works on
machines that only serve exported models.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ppcls.errors import PADDLE_MISSING

__version__ = "0.1.0"
__all__ = ["__version__", "create_model", "evaluate", "export", "list_models", "train"]

_LAZY = {
    "create_model": "ppcls.arch",
    "evaluate": "ppcls.api.evaluate",
    "export": "ppcls.api.export",
    "list_models": "ppcls.arch",
    "train": "ppcls.api.train",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        if _LAZY[name].startswith("ppcls.api") and importlib.util.find_spec("paddle") is None:
            raise ImportError(PADDLE_MISSING)
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'ppcls' has no attribute '{name}'")
