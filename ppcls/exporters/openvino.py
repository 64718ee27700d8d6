"""Networks for OpenVINO (`.xml` and `.bin`), by way of an ONNX file: OpenVINO's own reader of
Paddle's programs knows those of Paddle 2 only.
"""

from __future__ import annotations

import importlib
import shutil
import tempfile
from pathlib import Path
from typing import Any, List

from paddle import nn

from ppcls.errors import ExportError
from ppcls.exporters.form import PLAIN, Form
from ppcls.exporters.onnx import write_onnx
from ppcls.exporters.static import Shape
from ppcls.files import replacing


def write_openvino(
    network: nn.Layer,
    prefix: Path,
    shape: Shape,
    probabilities: bool = True,
    form: Form = PLAIN,
) -> List[Path]:
    """Write PREFIX.xml (the program) and PREFIX.bin (its weights, float32). Return both.

    Where PREFIX.onnx is there, it must be this network in this form, and is what is converted.

    Args:
        network, prefix, shape, probabilities, form: as for `ppcls.exporters.onnx.write_onnx`.

    Raises:
        ExportError: `paddle2onnx` or `openvino` is not installed, or cannot express the network.
    """
    library = _library()
    with tempfile.TemporaryDirectory() as folder:
        source = prefix.with_suffix(".onnx")
        if not source.is_file():
            (source,) = write_onnx(network, Path(folder) / "network", shape, probabilities, form)
        draft = Path(folder) / f"{prefix.name}.xml"
        try:
            model = library.Core().read_model(str(source))
            library.save_model(model, str(draft), compress_to_fp16=False)
        except Exception as error:  # its errors have no base of their own
            reason = " ".join(str(error).split())
            raise ExportError(f"OpenVINO cannot convert the network: {reason}") from error
        return [_moved(draft.with_suffix(suffix), prefix) for suffix in (".xml", ".bin")]


def _moved(draft: Path, prefix: Path) -> Path:
    """Put a finished file where it belongs, perhaps on another disk."""
    target = prefix.with_suffix(draft.suffix)
    with replacing(target) as path:
        shutil.copyfile(draft, path)
    return target


def _library() -> Any:
    try:
        return importlib.import_module("openvino")
    except ModuleNotFoundError:
        raise ExportError(
            "the format 'openvino' needs OpenVINO, which is not installed: "
            "pip install 'ppcls[openvino]'"
        ) from None
