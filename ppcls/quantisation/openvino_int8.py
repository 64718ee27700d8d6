"""INT8 in OpenVINO's own format, by NNCF (https://github.com/openvinotoolkit/nncf).

NNCF corrects the biases of layers for what rounding shifts. Its search for layers that must stay in
float32 (`quantize_with_accuracy_control`) is not used: for EfficientNetLite0 it took three minutes,
and gave a network that was as slow as float32 and no better.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
from pathlib import Path
from typing import Any, List

import numpy as np

from ppcls.errors import ExportError
from ppcls.inference.engines.openvino_runtime import read_network
from ppcls.quantisation.attempts import Attempt, Batches

STEM = "inference_int8"


def write_openvino_int8(
    source: Path, folder: Path, batches: Batches, attempt: Attempt
) -> List[Path]:
    """Quantise the ONNX file `source` into a folder; return the `.xml` and the `.bin`.

    Raises:
        ExportError: OpenVINO or NNCF cannot quantise the network.
    """
    # It reports its use to a server of its makers, unless it believes to be tested.
    os.environ.setdefault("NNCF_CI", "1")
    import nncf
    import openvino

    # Its own function for this changes handlers of other loggers too.
    logging.getLogger(nncf.__name__).setLevel(logging.ERROR)
    files = [folder / f"{STEM}{suffix}" for suffix in (".xml", ".bin")]
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # bars of progress
            quantised = _quantise(prepared_network(read_network(source)), list(batches), attempt)
            openvino.save_model(quantised, str(files[0]), compress_to_fp16=False)
    except Exception as error:  # both raise whatever they like
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ExportError(f"{source}: NNCF cannot quantise it: {reason}") from error
    return files


def prepared_network(network: Any) -> Any:
    """Give a network of OpenVINO the form in which OpenVINO computes all of it in integers.

    Weights of depthwise convolutions come as a constant and a Reshape; quantised behind the
    Reshape, their convolutions stay in float32. Swish comes as x * sigmoid(x); quantised between
    the two, it is not computed within the convolution before it. Together they made MobileNetV2
    and EfficientNetB0 in INT8 1.7 times as fast.
    """
    module = _of_openvino("passes")
    passes = module.Manager()
    passes.register_pass(module.ConstantFolding())
    passes.run_passes(network)
    for node in network.get_ordered_ops():
        if node.get_type_name() == "Sigmoid":
            _join_swish(node)
    return network


def _of_openvino(name: str) -> Any:
    """Return a module of OpenVINO, which 2024.0 has in another place than 2026."""
    try:
        return importlib.import_module(f"openvino.{name}")
    except ImportError:
        return importlib.import_module(f"openvino.runtime.{name}")


def _join_swish(sigmoid: Any) -> None:
    """Put one node in the place of each product of a sigmoid and its own input."""
    source = sigmoid.input_value(0)
    for target in sigmoid.output(0).get_target_inputs():
        product = target.get_node()
        if product.get_type_name() == "Multiply" and source in product.input_values():
            swish = _of_openvino("opset8").swish(source)
            swish.set_friendly_name(product.get_friendly_name())
            product.output(0).replace(swish.output(0))


def _quantise(network: Any, images: List[np.ndarray], attempt: Attempt) -> Any:
    import nncf

    presets = nncf.QuantizationPreset
    depthwise = nncf.IgnoredScope(types=["GroupConvolution"], validate=False)
    return nncf.quantize(
        network,
        nncf.Dataset(images),
        preset=presets.MIXED if attempt.asymmetric else presets.PERFORMANCE,
        subset_size=len(images),
        ignored_scope=depthwise if attempt.float_depthwise else None,
    )
