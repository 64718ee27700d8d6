"""The formats that a bundle can hold: how a network is written in each, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import paddle
from paddle import nn

from ppcls.errors import UsageError, did_you_mean
from ppcls.exporters.form import Form
from ppcls.exporters.onnx import write_onnx
from ppcls.exporters.openvino import write_openvino
from ppcls.exporters.static import Shape, write_program
from ppcls.exporters.tools import opsets, tool_missing
from ppcls.inference.engines import installed_engines

Writer = Callable[[nn.Layer, Path, Shape, bool, Form], List[Path]]

STEM = "inference"
"""What PaddleX calls the files of a network."""

FORMATS: Dict[str, Writer] = {
    "paddle": write_program,
    "onnx": write_onnx,
    "openvino": write_openvino,
}
"""Name of a format -> a function of network, path without suffix, image shape (c, h, w), whether
the network gives probabilities (or logits), and form, which writes the files and returns them.
"""

MADE_OF_ONNX = frozenset({"onnx", "openvino"})
"""Formats that hold what ONNX can express."""

_ORDER = ("paddle", "onnx", "openvino")
"""In which they are written: the second is made of the first, and the third of the second."""


def check_formats(names: Sequence[str], opset: int) -> None:
    """Refuse formats that cannot be written here, or not be compared with the network.

    Raises:
        UsageError: there is none, one is unknown or named twice, or what it is written or run with
            is not installed or does not fit; or there is no such version of ONNX' operators.
    """
    if not names:
        raise UsageError(f"a bundle holds at least one format. Accepted: {', '.join(FORMATS)}")
    for name in names:
        if name not in FORMATS:
            raise UsageError(
                f"unknown format '{name}'.{did_you_mean(name, FORMATS)} "
                f"Accepted: {', '.join(FORMATS)}"
            )
        if list(names).count(name) > 1:
            raise UsageError(f"the format '{name}' is named twice")
        missing = format_obstacle(name)
        if missing is not None:
            raise UsageError(missing)
    accepted = opsets()
    if opset not in accepted:
        raise UsageError(
            f"--opset {opset}: there is no such version of ONNX' operators here. Accepted: "
            f"{accepted[0]} to {accepted[-1]}"
        )


def format_obstacle(name: str) -> Optional[str]:
    """Say why a format cannot be written and compared here; None where it can."""
    missing = tool_missing(name, paddle.__version__)
    if missing is None:
        try:
            installed_engines([name])
        except UsageError as error:
            return str(error)
    return missing


def writing_order(names: Sequence[str]) -> List[str]:
    """Return formats in the order in which none is made twice."""
    return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
