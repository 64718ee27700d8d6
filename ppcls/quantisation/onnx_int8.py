"""INT8 as an ONNX file, by ONNX Runtime's static quantisation.

Nodes QuantizeLinear and DequantizeLinear stand around what is computed in integers (QDQ), so that
every engine that reads ONNX can open the file. Weights are signed and have a scale for each
channel. Activations are unsigned: ONNX Runtime has no fast kernels for signed ones on x86, they
took two to five times as long with VNNI. See
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import numpy as np

from ppcls.errors import ExportError
from ppcls.quantisation.attempts import Attempt, Batches

FILE_NAME = "inference_int8.onnx"

_AT_ONCE = 8
"""Images whose intermediate values are in memory, where percentiles are taken of them."""

_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_TO_PROBABILITIES = ("Softmax",)
"""In steps of 1/255, most of a thousand probabilities would be 0."""


def write_onnx_int8(source: Path, folder: Path, batches: Batches, attempt: Attempt) -> List[Path]:
    """Quantise the ONNX file `source` into a folder; return the file.

    Raises:
        ExportError: ONNX Runtime cannot quantise the network.
    """
    target = folder / FILE_NAME
    with tempfile.TemporaryDirectory() as aside, _quiet():
        prepared = Path(aside) / "prepared.onnx"
        try:
            _prepare(source, prepared)
            _quantise(prepared, target, batches, attempt)
            _tidy(target)
        except ExportError:
            raise
        except Exception as error:  # both raise whatever they like
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ExportError(f"{source}: ONNX Runtime cannot quantise it: {reason}") from error
    return [target]


def _prepare(source: Path, prepared: Path) -> None:
    """Fold constants and normalisation into the layers, and note all shapes."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)


def _quantise(prepared: Path, target: Path, batches: Batches, attempt: Attempt) -> None:
    import onnx
    from onnxruntime import quantization as ort

    model = onnx.load(str(prepared))
    options: Dict[str, Any] = {"CalibStridedMinMax": _AT_ONCE}
    method = ort.CalibrationMethod.MinMax
    if attempt.percentile is not None:
        method, options["CalibPercentile"] = ort.CalibrationMethod.Percentile, attempt.percentile
    ort.quantize_static(
        str(prepared),
        str(target),
        _Reader(model.graph.input[0], batches),
        quant_format=ort.QuantFormat.QDQ,
        per_channel=True,
        activation_type=ort.QuantType.QUInt8,
        weight_type=ort.QuantType.QInt8,
        nodes_to_exclude=floating_nodes(model, attempt),
        calibrate_method=method,
        extra_options=options,
    )


def floating_nodes(model: Any, attempt: Attempt) -> List[str]:
    """Return the names of the nodes of an ONNX model that stay in float32.

    Those before the first layer with weights normalise images of uint8, which have no more than 8
    bits from the start.
    """
    nodes = list(model.graph.node)
    layers = [i for i, node in enumerate(nodes) if node.op_type in _WITH_WEIGHTS]
    found = set(range(layers[0])) if layers else set()
    found |= {i for i, node in enumerate(nodes) if node.op_type in _TO_PROBABILITIES}
    if attempt.float_ends and layers:
        found |= {layers[0], layers[-1]}
    return [nodes[i].name for i in sorted(found)]


def _tidy(path: Path) -> None:
    """Leave out the operator sets that the tools declare and nothing uses: who reads the file
    would look for operators of strangers.
    """
    import onnx

    model = onnx.load(str(path))
    used = {node.domain for node in model.graph.node}
    kept = [one for one in model.opset_import if not one.domain or one.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.save(model, str(path))


class _Reader:
    """Gives images to ONNX Runtime's calibration, which asks for a range of them at a time."""

    def __init__(self, input: Any, batches: Batches) -> None:
        import onnx

        self._name = input.name
        kind = input.type.tensor_type.elem_type
        self._dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
        self._count = len(batches)
        self._remaining = iter(batches)
        self._range: Optional[Iterator[np.ndarray]] = None

    def __len__(self) -> int:
        """The number of images, as a multiple of what is asked for at once."""
        return -(-self._count // _AT_ONCE) * _AT_ONCE

    def set_range(self, start_index: int, end_index: int) -> None:
        """Go on to the next range."""
        self._range = islice(self._remaining, end_index - start_index)

    def get_next(self) -> Optional[Dict[str, np.ndarray]]:
        """Return the next image of the range, or None where it ends."""
        # ONNX Runtime 1.17 knows no ranges, and asks for all.
        batch = next(self._remaining if self._range is None else self._range, None)
        return None if batch is None else {self._name: batch.astype(self._dtype)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tools' remarks from the user: on nodes that they remove, on steps that are done."""
    import onnxruntime

    root, errors_only = logging.getLogger(), 3
    before = root.level
    onnxruntime.set_default_logger_severity(errors_only)
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(before)
        onnxruntime.set_default_logger_severity(2)
