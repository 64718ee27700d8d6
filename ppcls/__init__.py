"""Image classification on PaddlePaddle: YAML in, a trained, exported, served model out.

The functions are loaded on first use, so that importing the package stays fast and works on
machines that only serve exported models.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, List

from ppcls.errors import PADDLE_MISSING

__version__ = "0.1.0"
_LAZY = {
    "Predictor": "ppcls.inference",
    "create_model": "ppcls.arch",
    "evaluate": "ppcls.api.evaluate",
    "export": "ppcls.api.export",
    "import_parts": "ppcls.own_parts",
    "list_models": "ppcls.arch",
    "load": "ppcls.loading",
    "train": "ppcls.api.train",
    "tune": "ppcls.api.tuning.study",
}
_NEED_PADDLE = {"evaluate", "export", "train", "tune"}
__all__ = ["__version__", *_LAZY]  # noqa: PLE0604 - the names are texts


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        if name in _NEED_PADDLE and importlib.util.find_spec("paddle") is None:
            raise ImportError(PADDLE_MISSING)
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'ppcls' has no attribute '{name}'")


def __dir__() -> List[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
