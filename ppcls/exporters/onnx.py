"""ONNX files, by way of the static program and the converter `paddle2onnx`."""

from __future__ import annotations

import contextlib
import importlib
import io
import tempfile
from pathlib import Path
from typing import Any, List

from paddle import nn

from ppcls.errors import ExportError
from ppcls.exporters.form import OPSET, PLAIN, Form
from ppcls.exporters.static import Shape, program_of, write_program
from ppcls.files import replacing
from ppcls.inference.programs import opset_of
from ppcls.runtime import without_lines

_STEPS = r"\[Paddle2ONNX\] (Start|Use|PaddlePaddle model is exported).*"


def write_onnx(
    network: nn.Layer,
    prefix: Path,
    shape: Shape,
    probabilities: bool = True,
    form: Form = PLAIN,
) -> List[Path]:
    """Write `network` in evaluation mode as PREFIX.onnx. Return the file.

    Where PREFIX.json or .pdmodel is there, it must be this network in this form, and is what is
    converted.

    Args:
        network: a classifier; its mode is left as it is.
        prefix: the path without its suffix; the file is written whole or not at all.
        shape: (c, h, w) of an image. The height and width are fixed in the file.
        probabilities: give probabilities instead of logits.
        form: how the network takes its images, and the version of the operators.

    Raises:
        ExportError: `paddle2onnx` is not installed, or it cannot express the network.
    """
    _converter()
    with tempfile.TemporaryDirectory() as folder:
        program = prefix
        if not program_of(prefix).is_file():
            program = Path(folder) / "network"
            write_program(network, program, shape, probabilities, form)
        convert_program(program, prefix.with_suffix(".onnx"), form.opset)
    return [prefix.with_suffix(".onnx")]


def convert_program(prefix: Path, path: Path, opset: int = OPSET) -> None:
    """Turn the static program PREFIX.json or .pdmodel, with PREFIX.pdiparams, into an ONNX file.

    Args:
        prefix: what `write_program` was given.
        path: the file, written whole or not at all.
        opset: the version of ONNX' operators.

    Raises:
        ExportError: `paddle2onnx` is not installed, or it cannot express the program with these
            operators.
    """
    converter = _converter()
    with replacing(path) as draft:
        try:
            # It prints its steps, and the name of the draft, which nobody will find.
            with without_lines(_STEPS), contextlib.redirect_stdout(io.StringIO()):
                converter.export(
                    str(program_of(prefix)),
                    str(prefix.with_suffix(".pdiparams")),
                    save_file=str(draft),
                    opset_version=opset,
                    **_without_optimiser(converter),
                )
        except Exception as error:  # it raises whatever it likes
            raise ExportError(f"paddle2onnx cannot convert the network: {error}") from error
        if not draft.is_file() or draft.stat().st_size == 0:
            raise ExportError("paddle2onnx cannot convert the network; its output says why")
        if opset_of(draft) != opset:  # it takes newer operators where it needs them
            raise ExportError(
                f"the network needs operators of ONNX that version {opset} does not have: "
                f"--opset {opset_of(draft)}"
            )


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
