"""INT8 in OpenVINO's own format, by NNCF (https://github.com/openvinotoolkit/nncf).

NNCF corrects the biases of layers for what rounding shifts, and can search for layers that must
stay in float32.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from pathlib import Path
from typing import Any, Iterable, List, Tuple

import numpy as np

from ppcls.errors import ExportError
from ppcls.quantisation.attempts import Attempt, Batches

STEM = "inference_int8"

_MOST_CHANGED = 0.01
"""Fraction of calibration images whose top-1 may change, where NNCF searches for layers."""


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

    nncf.set_log_level(logging.ERROR)
    files = [folder / f"{STEM}{suffix}" for suffix in (".xml", ".bin")]
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # bars of progress
            network = openvino.Core().read_model(str(source))
            quantise = _quantise_carefully if attempt.accuracy_control else _quantise
            openvino.save_model(
                quantise(network, list(batches()), attempt), str(files[0]), compress_to_fp16=False
            )
    except Exception as error:  # both raise whatever they like
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ExportError(f"{source}: NNCF cannot quantise it: {reason}") from error
    return files


def _quantise(network: Any, images: List[np.ndarray], attempt: Attempt) -> Any:
    import nncf

    return nncf.quantize(
        network, nncf.Dataset(images), preset=_preset(attempt), subset_size=len(images)
    )


def _quantise_carefully(network: Any, images: List[np.ndarray], attempt: Attempt) -> Any:
    """Keep those layers in float32 without which the calibration images are seen differently.

    The images that judge take no part in this: a network that was fitted to them could not be
    judged by them any more.
    """
    import nncf
    import openvino

    exact = openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = [int(exact(image)[0].argmax()) for image in images]

    def agreement(compiled: Any, pairs: Iterable[Tuple[np.ndarray, int]]) -> Tuple[float, None]:
        same = [int(compiled(image)[0].argmax()) == top for image, top in pairs]
        return float(np.mean(same)), None

    return nncf.quantize_with_accuracy_control(
        network,
        calibration_dataset=nncf.Dataset(images),
        validation_dataset=nncf.Dataset(list(zip(images, expected))),
        validation_fn=agreement,
        max_drop=_MOST_CHANGED,
        preset=_preset(attempt),
        subset_size=len(images),
    )


def _preset(attempt: Attempt) -> Any:
    import nncf

    presets = nncf.QuantizationPreset
    return presets.MIXED if attempt.asymmetric else presets.PERFORMANCE
