"""The formats that a bundle can hold: how a network is written in each, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

from paddle import nn

from ppcls.errors import UsageError, did_you_mean
from ppcls.exporters.onnx import write_onnx
from ppcls.exporters.static import write_program
from ppcls.inference.engines import installed_engines

Shape = Tuple[int, int, int]
Writer = Callable[[nn.Layer, Path, Shape, bool], List[Path]]

STEM = "inference"
"""What PaddleX calls the files of a network."""

FORMATS: Dict[str, Writer] = {"paddle": write_program, "onnx": write_onnx}
"""Name of a format -> a function of network, path without suffix, image shape (c, h, w) and whether
the network gives probabilities (or logits), which writes the files and returns them.
"""


def check_formats(names: Sequence[str]) -> None:
    """Refuse formats that cannot be written here, or not be compared with the network.

    Raises:
        UsageError: there is none, one is unknown or named twice, or its engine is not installed.
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
        installed_engines([name])
