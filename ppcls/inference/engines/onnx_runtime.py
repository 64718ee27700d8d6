"""ONNX Runtime: runs the format "onnx" of a bundle, on CPUs and through CUDA or TensorRT on GPUs.

It needs the extra `ppcls[onnx]`; for GPUs the package `onnxruntime-gpu` instead of `onnxruntime`.
Options of the providers: https://onnxruntime.ai/docs/execution-providers/
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from ppcls import runtime
from ppcls.errors import BundleError, UsageError
from ppcls.inference.engines import EngineOptions, NetworkInput
from ppcls.inference.engines.base import EngineBase, built_folder

Provider = Tuple[str, Dict[str, str]]

_CPU, _CUDA, _TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))


class OnnxRuntimeEngine(EngineBase):
    """A network as an ONNX file in ONNX Runtime.

    Raises:
        UsageError: a GPU is asked for, and this ONNX Runtime cannot use one.
        BundleError: ONNX Runtime cannot load the file.
    """

    name = "onnxruntime"

    def __init__(self, files: Sequence[Path], options: EngineOptions, input: NetworkInput) -> None:
        import onnxruntime

        if len(files) != 1:
            found = ", ".join(path.name for path in files)
            raise BundleError(
                f"{files[0].parent}: a network in the format 'onnx' is one file, the bundle has "
                f"{found}"
            )
        super().__init__(files[0], options, input)
        self.version = onnxruntime.__version__
        available = onnxruntime.get_available_providers()
        self.device = _chosen_device(options.device, available)
        self.providers = self._wanted_providers(options)
        _check_available(self.name, [name for name, _ in self.providers], available)
        try:
            self._session = onnxruntime.InferenceSession(
                str(self._path), self._settings(onnxruntime), providers=self.providers
            )
            self._name = self._session.get_inputs()[0].name
        except Exception as error:  # its errors have no base of their own
            raise BundleError(
                f"{self._path}: ONNX Runtime cannot load the network: {self._reason(error)}"
            ) from None
        _check_enabled(self.providers[0][0], self._session.get_providers())

    def _wanted_providers(self, options: EngineOptions) -> List[Provider]:
        return providers(self.device)

    def _settings(self, onnxruntime: Any) -> Any:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = self.threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3  # its warnings are of no use to users
        return settings

    def _compute(self, batch: np.ndarray) -> np.ndarray:
        (found,) = self._session.run(None, {self._name: batch})
        return np.asarray(found)

    def _report(self) -> str:
        return ", ".join(self._session.get_providers())


class OnnxRuntimeTensorRtEngine(OnnxRuntimeEngine):
    """The same through TensorRT, which builds an engine for this GPU on first use and keeps it.

    Raises:
        As above.
    """

    name = "onnxruntime_tensorrt"

    def _wanted_providers(self, options: EngineOptions) -> List[Provider]:
        if self.device == "cpu":
            raise UsageError(f"the engine '{self.name}' runs on GPUs only, and none is there")
        # CUDA's libraries read it when they are loaded; TF32 is not what float32 means.
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
        # It names what it keeps by the network's structure: other weights need another folder.
        cache = built_folder([self._path], self.version, options, self._input)
        first = tensorrt_provider(self.device, options, self._input, cache)
        return [first, *providers(self.device)]


def providers(device: str) -> List[Provider]:
    """Return what runs a network on a device.

    On GPUs TF32, which has 10 bits of mantissa, is switched off: float32 is asked for.
    """
    if device == "cpu":
        return [(_CPU, {})]
    return [(_CUDA, {"device_id": _index(device), "use_tf32": "0"})]


def tensorrt_provider(
    device: str, options: EngineOptions, input: NetworkInput, cache: Path
) -> Provider:
    """Return TensorRT for batches of 1 to `options.batch_size`, which keeps its work in `cache`."""
    shapes = dict(zip(("min", "opt", "max"), input.range_of_shapes(options.batch_size)))
    profiles = {
        f"trt_profile_{name}_shapes": f"{input.name}:{'x'.join(map(str, shape))}"
        for name, shape in shapes.items()
    }
    settings = {
        "device_id": _index(device),
        "trt_fp16_enable": str(int(options.precision == "fp16")),
        "trt_int8_enable": str(int(options.precision == "int8")),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(cache),
        **profiles,
    }
    return _TENSORRT, settings


def _index(device: str) -> str:
    return device.partition(":")[2] or "0"


def _chosen_device(wanted: str, available: Sequence[str]) -> str:
    if wanted == "auto":
        return "gpu:0" if _CUDA in available and runtime.has_nvidia_gpu() else "cpu"
    return f"gpu:{_index(wanted)}" if wanted.startswith("gpu") else "cpu"


def _check_available(engine: str, wanted: Sequence[str], available: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in available]
    if missing:
        raise UsageError(
            f"the engine '{engine}' needs {missing[0]} for a GPU, and the installed ONNX Runtime "
            f"has {', '.join(available)}. Install onnxruntime-gpu instead of onnxruntime, or run "
            "on the CPU: --engine onnxruntime --device cpu"
        )


def _check_enabled(wanted: str, enabled: Sequence[str]) -> None:
    """Refuse what ONNX Runtime does silently: to go on without a provider that failed to start."""
    if wanted not in enabled:
        raise UsageError(
            f"ONNX Runtime could not start {wanted}, and took {', '.join(enabled)}; are the driver "
            "and CUDA, cuDNN (and TensorRT) installed in the versions that it needs? To run on the "
            "CPU: --device cpu"
        )
