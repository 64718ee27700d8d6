"""ONNX files, by way of the static program and the converter `paddle2onnx`."""

from __future__ import annotations

import contextlib
import importlib
import io
import tempfile
from pathlib import Path
from typing import Any, List, Tuple

from paddle import nn

from ppcls.errors import ExportError
from ppcls.exporters.static import program_of, write_program
from ppcls.files import replacing

OPSET = 13
"""The version of ONNX' operators: the first with all that the networks need (per-axis squeeze)."""


def write_onnx(
    network: nn.Layer, prefix: Path, shape: Tuple[int, int, int], softmax: bool = True
) -> List[Path]:
    """Write `network` in evaluation mode as PREFIX.onnx, for batches of any size. Return the file.

    Args:
        network: a classifier; its mode is left as it is.
        prefix: the path without its suffix; the file is written whole or not at all.
        shape: (c, h, w) of an image. The height and width are fixed in the file.
        softmax: give probabilities instead of logits.

    Raises:
        ExportError: `paddle2onnx` is not installed, or it cannot express the network.
    """
    _converter()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "network"
        write_program(network, program, shape, softmax)
        convert_program(program, prefix.with_suffix(".onnx"))
    return [prefix.with_suffix(".onnx")]


def convert_program(prefix: Path, path: Path) -> None:
    """Turn the static program PREFIX.json or .pdmodel, with PREFIX.pdiparams, into an ONNX file.

    Args:
        prefix: what `write_program` was given.
        path: the file, written whole or not at all.

    Raises:
        ExportError: `paddle2onnx` is not installed, or it cannot express the program.
    """
    converter = _converter()
    with replacing(path) as draft:
        try:
            # It prints the name of the draft, which nobody will find.
            with contextlib.redirect_stdout(io.StringIO()):
                converter.export(
                    str(program_of(prefix)),
                    str(prefix.with_suffix(".pdiparams")),
                    save_file=str(draft),
                    opset_version=OPSET,
                    **_without_optimiser(converter),
                )
        except Exception as error:  # it raises whatever it likes
            raise ExportError(f"paddle2onnx cannot convert the network: {error}") from error
        if not draft.is_file() or draft.stat().st_size == 0:
            raise ExportError("paddle2onnx cannot convert the network; its output says why")


def _converter() -> Any:
    try:
        return importlib.import_module("paddle2onnx")
    except ModuleNotFoundError:
        raise ExportError(
            "ONNX files need paddle2onnx, which is not installed: pip install 'ppcls[onnx]'"
        ) from None


def _without_optimiser(converter: Any) -> dict[str, str]:
    """Return the argument that keeps version 2 from optimising, for which it installs packages."""
    return {"optimize_tool": "None"} if converter.__version__.split(".")[0] != "1" else {}
