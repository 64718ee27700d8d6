"""OpenVINO on CPUs: runs the formats "openvino" and "onnx" of a bundle. It needs the extra
`ppcls[openvino]`.

Where the processor has bfloat16, OpenVINO computes in it unless told otherwise; the precision is
always told here: https://docs.openvino.ai/2024/openvino-workflow/running-inference/optimize-inference/precision-control.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import numpy as np

from ppcls.errors import BundleError, UsageError
from ppcls.inference.engines import EngineOptions, NetworkInput
from ppcls.inference.engines.base import EngineBase

_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""What computes the layers that are not quantised."""

_DEVICE = "CPU"

_FRONTENDS = {".onnx": "onnx", ".xml": "ir"}
"""What reads a file, by its suffix."""


class OpenVinoEngine(EngineBase):
    """A network as an ONNX file, or in OpenVINO's own format, in OpenVINO.

    Raises:
        UsageError: this processor does not have the precision that is asked for.
        BundleError: OpenVINO cannot load the files.
    """

    name = "openvino"

    def __init__(self, files: Sequence[Path], options: EngineOptions, input: NetworkInput) -> None:
        import openvino

        super().__init__(files[0], options, input)
        self.version = openvino.__version__.partition("-")[0]
        core = openvino.Core()
        _check_precision(self.precision, core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES"))
        self._core, self._usual = core, options.batch_size
        self._requests: Dict[Optional[int], Any] = {}
        try:
            self._network = read_network(self._path)
            # Asked at each call, it costs a fifth of a small network: it looks at every operator.
            self._is_dynamic = self._network.is_dynamic()
            self._request(self._usual)
        except Exception as error:  # what reads a file has errors without a base of their own
            raise BundleError(
                f"{self._path}: OpenVINO cannot load the network: {self._reason(error)}"
            ) from None

    def _compile(self, images: Optional[int]) -> Any:
        """Return the network compiled for a number of images, or for any (None), which is slower.

        One image in a MobileNet takes 8 % less time where its number is known.
        """
        network = self._network
        if images is not None:
            network = network.clone()
            network.reshape([images, *self._input.shape])
        given = settings(self.precision, self.threads)
        return self._core.compile_model(network, _DEVICE, given).create_infer_request()

    def _request(self, images: int) -> Any:
        size = images if images == self._usual and self._is_dynamic else None
        if size not in self._requests:
            self._requests[size] = self._compile(size)
        return self._requests[size]

    def _compute(self, batch: np.ndarray) -> np.ndarray:
        request = self._request(len(batch))
        request.infer({0: batch}, share_inputs=True)
        # The next call writes into the same memory.
        result: np.ndarray = request.get_output_tensor(0).data.copy()
        return result

    def _report(self) -> str:
        asked = ("EXECUTION_DEVICES", "INFERENCE_PRECISION_HINT", "NUM_STREAMS")
        compiled = self._request(self._usual).get_compiled_model()
        found = {name: compiled.get_property(name) for name in asked}
        found["INFERENCE_PRECISION_HINT"] = found["INFERENCE_PRECISION_HINT"].get_type_name()
        return ", ".join(f"{name}: {value}" for name, value in found.items())

    def _reason(self, error: Exception) -> str:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[-1] if lines else type(error).__name__


def settings(precision: str, threads: int) -> Dict[str, Any]:
    """Return the properties with which a network is compiled: for one batch at a time, as fast as
    possible.
    """
    return {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }


def _check_precision(precision: str, capabilities: Sequence[str]) -> None:
    if precision == "bf16" and "BF16" not in capabilities:
        raise UsageError(
            "this processor does not compute in bfloat16 (it has no AVX-512 BF16 and no AMX): "
            "--precision fp32"
        )


def read_network(path: Path) -> Any:
    """Return the network of a file, `.onnx` or `.xml`, the latter with the weights `.bin` beside
    it, read as what its name says: it was checked as that, and OpenVINO's `Core` would go by the
    content.

    Raises:
        Exception: of whatever kind, where OpenVINO cannot read it so.
    """
    from openvino.frontend import FrontEndManager

    frontend = FrontEndManager().load_by_framework(_FRONTENDS[path.suffix])
    network = frontend.convert(frontend.load(str(path)))
    if not network.inputs or not network.outputs:  # as from what is no ONNX at all
        raise ValueError("it has no input or no output")
    return network
