"""What the formats are written with, and which versions of it work together."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from importlib.util import find_spec
from typing import Dict, NamedTuple, Optional, Tuple


class Misfit(NamedTuple):
    """Versions that cannot work together: regular expressions of what they begin with."""

    paddle2onnx: str
    paddle: str
    reason: str
    remedy: str


MISFITS: Tuple[Misfit, ...] = (
    Misfit(
        r"[01]\.",
        r"3\.",
        "reads the programs that Paddle 2 writes (.pdmodel), not those of Paddle 3 (.json)",
        "pip install 'paddle2onnx>=2.0.1,<3'",
    ),
    Misfit(
        r"[2-9]\.",
        r"2\.",
        "works with Paddle 3 only",
        "pip install 'paddle2onnx>=1.2.11,<2', or 'paddlepaddle>=3.1,<4'",
    ),
)
"""Measured, and as the converter's own start-up says: version 2.1 refuses Paddle below 3.0."""

NEWEST_PYTHON = (3, 12)
"""The last for which PyPI has paddle2onnx (of all its versions, 1.2.11 to 2.1.0)."""

OPSETS = {"1": range(7, 20), "2": range(7, 22)}
"""Major version of paddle2onnx -> versions of ONNX' operators, as 1.2.11, 1.3.1 and 2.1.0 wrote
them. Below these a converter takes the first; beyond them it ends the process.
"""

_NEEDED: Dict[str, Dict[str, str]] = {
    "paddle": {},
    "onnx": {"paddle2onnx": "onnx"},
    "openvino": {"openvino": "openvino", "paddle2onnx": "onnx"},
}
"""Name of a format -> package that writes it -> extra that brings that."""


def tool_missing(format: str, paddle: str) -> Optional[str]:
    """Say what is missing, or does not fit, to write a format; None where nothing is.

    Args:
        format: a key of `ppcls.exporters.formats.FORMATS`.
        paddle: the version of Paddle.
    """
    needed = _NEEDED.get(format, {})
    missing = [package for package in needed if find_spec(package) is None]
    if "paddle2onnx" in missing and sys.version_info[:2] > NEWEST_PYTHON:
        here = ".".join(map(str, sys.version_info[:2]))
        return (
            f"the format '{format}' is made with paddle2onnx, which has no version for Python "
            f"{here}: export with Python 3.9 to 3.12. What was exported runs with any Python"
        )
    if missing:
        extras = ",".join(sorted({needed[package] for package in missing}))
        return (
            f"the format '{format}' is made with {' and '.join(missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not installed: pip install 'ppcls[{extras}]'"
        )
    return _misfit(metadata.version("paddle2onnx"), paddle) if "paddle2onnx" in needed else None


def _misfit(paddle2onnx: str, paddle: str) -> Optional[str]:
    for row in MISFITS:
        if re.match(row.paddle2onnx, paddle2onnx) and re.match(row.paddle, paddle):
            return (
                f"paddle2onnx {paddle2onnx} {row.reason}, and Paddle {paddle} is installed: "
                f"{row.remedy}"
            )
    return None


def opsets() -> range:
    """Return the versions of ONNX' operators that the installed paddle2onnx writes."""
    try:
        major = metadata.version("paddle2onnx").split(".")[0]
    except metadata.PackageNotFoundError:
        major = "2"
    return OPSETS.get(major, OPSETS["2"])
