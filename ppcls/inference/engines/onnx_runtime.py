"""ONNX Runtime on CPUs: runs the format "onnx" of a bundle. It needs the extra `ppcls[onnx]`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Sequence

import numpy as np

from ppcls import runtime
from ppcls.errors import BundleError
from ppcls.inference.engines import EngineOptions


class OnnxRuntimeEngine:
    """A network as an ONNX file in ONNX Runtime.

    Raises:
        BundleError: ONNX Runtime cannot load the file.
    """

    def __init__(self, files: Sequence[Path], options: EngineOptions) -> None:
        import onnxruntime

        if len(files) != 1:
            found = ", ".join(path.name for path in files)
            raise BundleError(
                f"{files[0].parent}: a network in the format 'onnx' is one file, the bundle has "
                f"{found}"
            )
        self.threads = options.threads or runtime.available_cores()
        self._path = files[0]
        self._version = onnxruntime.__version__
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = self.threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3  # its warnings are of no use to users
        try:
            self._session = onnxruntime.InferenceSession(
                str(self._path), settings, providers=["CPUExecutionProvider"]
            )
            self._input = self._session.get_inputs()[0].name
        except Exception as error:  # its errors have no base of their own
            raise BundleError(
                f"{self._path}: ONNX Runtime cannot load the network: {_reason(error)}"
            ) from None

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 [n, classes], of preprocessed images, float32 [n, c, h, w].

        Raises:
            BundleError: the network does not accept the images.
        """
        batch = np.ascontiguousarray(images, dtype=np.float32)
        try:
            (found,) = self._session.run(None, {self._input: batch})
            result = np.asarray(found)
        except Exception as error:  # its errors have no base of their own
            shape = "x".join(map(str, images.shape))
            raise BundleError(
                f"{self._path}: the network fails on images of shape {shape}: {_reason(error)}"
            ) from None
        return result

    def describe(self) -> Dict[str, Any]:
        """Return the engine's name, version, device and threads."""
        return {
            "name": "onnxruntime",
            "version": self._version,
            "device": "cpu",
            "threads": self.threads,
        }


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
