"""Paddle Inference: runs bundles written by Paddle 2.6 (.pdmodel) and by Paddle 3.x (.json)."""

from __future__ import annotations

import importlib
import os
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from ppcls import runtime
from ppcls.errors import BundleError, UsageError
from ppcls.files import locked, making_folder, remove_leftovers
from ppcls.inference.engines import EngineOptions, NetworkInput
from ppcls.inference.engines.base import EngineBase, built_folder
from ppcls.inference.engines.paddle_settings import (
    Precision,
    Setting,
    common_settings,
    conversion,
    cpu_settings,
    gpu_settings,
    tensorrt_settings,
)

_NOISE = "ReduceMeanCheckIfOneDNNSupport"
"""What Paddle 3.x prints for each averaging layer when a program runs for the first time."""

_STEM = "converted"
"""What a program is called with TensorRT inside."""

_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16"})


class PaddleEngine(EngineBase):
    """A bundle's program in Paddle Inference, on the CPU with oneDNN.

    Raises:
        UsageError: Paddle is not installed, or a GPU or precision is asked for and not there.
        BundleError: the files are no program with weights, or the installed Paddle cannot load it.
    """

    name = "paddle"
    onednn = True
    way_out = "--device cpu"
    conversion: Mapping[str, Any] = {}
    """How the program was made that runs, if it is not the bundle's own."""

    def __init__(self, files: Sequence[Path], options: EngineOptions, input: NetworkInput) -> None:
        # Paddle's libraries read it when they are loaded; TF32 is not what float32 means.
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
        runtime.prepare()
        import paddle

        self._program, weights = files
        super().__init__(self._program, options, input)
        self.version = paddle.__version__
        check_version(self._program, self.version)
        self.device = runtime.choose_device(options.device, self._to_cpu(options))
        program, weights, special = self._for_device(weights, options)
        self.settings = [*common_settings(program.suffix), *special]
        self._predictor, self._summary = _load(program, weights, self.settings)
        inputs, outputs = self._predictor.get_input_names(), self._predictor.get_output_names()
        if not inputs or not outputs:
            raise BundleError(
                f"{self._program}: the program has {len(inputs)} inputs and {len(outputs)} "
                "outputs, where there must be one of each; export the network again"
            )
        self._source = self._predictor.get_input_handle(inputs[0])
        self._target = self._predictor.get_output_handle(outputs[0])
        self._is_new = True

    def _to_cpu(self, options: EngineOptions) -> str:
        """Return the options that ask for the CPU, for a message."""
        return self.way_out + (" --precision fp32" if options.precision == "fp16" else "")

    def _for_device(
        self, weights: Path, options: EngineOptions
    ) -> Tuple[Path, Path, List[Setting]]:
        """Return the program, its weights, and the settings beside the common ones."""
        if self.device.startswith("gpu"):
            return self._program, weights, gpu_settings(self.device, options.precision)
        if options.precision == "bf16" and not _BFLOAT16 & runtime.cpu_flags():
            raise UsageError(
                "this processor does not compute in bfloat16 (it has no AVX-512 BF16 and no AMX): "
                "--precision fp32"
            )
        special = cpu_settings(self.threads, options.precision, self.onednn)
        return self._program, weights, special

    def _compute(self, batch: np.ndarray) -> np.ndarray:
        self._source.reshape(batch.shape)
        self._source.copy_from_cpu(batch)
        with runtime.without_lines(_NOISE) if self._is_new else nullcontext():
            self._predictor.run()
        self._is_new = False
        result: np.ndarray = self._target.copy_to_cpu()
        return result

    def describe(self) -> Dict[str, Any]:
        """Return what all engines do, and the settings."""
        settings: Dict[str, Any] = {name: list(arguments) for name, arguments in self.settings}
        if self.conversion:
            settings["conversion"] = dict(self.conversion)
        return {**super().describe(), "settings": settings}

    def _report(self) -> str:
        return ", ".join([self._summary, *self._unreported()])

    def _unreported(self) -> List[str]:
        """Return what was asked for and is missing from Paddle's own report."""
        if ("enable_mkldnn_bfloat16", ()) in self.settings:
            return ["bfloat16: true"]
        names = ("precision_mode", "min_subgraph_size")
        return [f"tensorrt {name}: {self.conversion[name]}" for name in names if self.conversion]

    def _reason(self, error: Exception) -> str:
        return _reason(error)


class PaddlePlainEngine(PaddleEngine):
    """The same on the CPU with Paddle's own kernels, to compare with."""

    name = "paddle_plain"
    onednn = False


class PaddleTensorRtEngine(PaddleEngine):
    """The same on a GPU through TensorRT, which builds for this GPU on first use and is kept.

    Raises:
        UsageError: there is no GPU, it is not the one that Paddle converts on, or this Paddle has
            no TensorRT.
        BundleError: as above.
    """

    name = "paddle_tensorrt"
    way_out = "--engine paddle --device cpu"

    def _for_device(
        self, weights: Path, options: EngineOptions
    ) -> Tuple[Path, Path, List[Setting]]:
        if not self.device.startswith("gpu"):
            raise UsageError(f"the engine '{self.name}' runs on GPUs only, and Paddle sees none")
        settings = gpu_settings(self.device, "fp32")  # TensorRT is told its own precision
        cache = built_folder([self._program, weights], self.version, options, self._input)
        if self._program.suffix == ".pdmodel":
            built = tensorrt_settings(options, self._input, cache)
            return self._program, weights, [*settings, *built]
        converted = self._converted(options, cache / "converted")
        return converted, converted.with_suffix(".pdiparams"), settings

    def _converted(self, options: EngineOptions, folder: Path) -> Path:
        """Return the program with TensorRT inside; the first time, it is made in `folder`."""
        _check_first_gpu(self.device)
        self.conversion = conversion(options, self._input, folder / _STEM)
        with locked(folder.with_name(".lock"), wait=True):
            if not folder.is_dir():
                remove_leftovers(folder.parent)
                with making_folder(folder) as made:
                    target = {"save_model_dir": str(made / _STEM)}
                    _convert(self._program.with_suffix(""), {**self.conversion, **target})
        return folder / f"{_STEM}.json"


def _check_first_gpu(device: str) -> None:
    """Refuse other GPUs than the first, on which `paddle.tensorrt.convert` works whatever it is
    told.
    """
    index = device.partition(":")[2]
    if index != "0":
        raise UsageError(
            f"Paddle 3.x builds for TensorRT on the first GPU only, not on {device}: hide the "
            f"others, CUDA_VISIBLE_DEVICES={index} ppcls ... --device gpu:0"
        )


def _convert(program: Path, arguments: Dict[str, Any]) -> None:
    """Write the program (a path without suffix) again with TensorRT inside, see `conversion`."""
    try:
        tensorrt: Any = importlib.import_module("paddle.tensorrt")
    except ImportError:
        raise UsageError(
            "this Paddle has no TensorRT; install paddlepaddle-gpu 3.x and TensorRT in the version "
            "that it was built with, or choose another engine: --engine paddle"
        ) from None
    inputs = [tensorrt.Input(**one) for one in arguments["inputs"]]
    precision = tensorrt.PrecisionMode[arguments["precision_mode"]]
    config = tensorrt.TensorRTConfig(**{**arguments, "inputs": inputs, "precision_mode": precision})
    try:
        tensorrt.convert(str(program), config)
    except Exception as error:  # it raises what it likes
        raise BundleError(f"{program}: TensorRT cannot build it: {_reason(error)}") from None
    target = Path(arguments["save_model_dir"])
    missing = [end for end in (".json", ".pdiparams") if not target.with_suffix(end).is_file()]
    if missing:
        raise BundleError(f"{program}: Paddle wrote no {missing[0]} with TensorRT inside")


def check_version(program: Path, version: str) -> None:
    """Refuse a program of Paddle 3.x where Paddle 2.x is installed: loading it would crash.

    Raises:
        BundleError: the program is newer than the installed Paddle.
    """
    if program.suffix == ".json" and int(version.split(".")[0]) < 3:
        raise BundleError(
            f"{program}: written by Paddle 3.x, which Paddle {version} cannot read; "
            "install paddlepaddle 3.1 or newer, or export the network with the older Paddle"
        )


def _load(program: Path, weights: Path, calls: Sequence[Setting]) -> Tuple[Any, str]:
    """Return the predictor, and Paddle's own report of how it is set up."""
    from paddle import inference

    config = inference.Config(str(program), str(weights))
    for name, arguments in calls:
        getattr(config, name)(*(_value(inference, one) for one in arguments))
    report = _shortened(config.summary())
    try:
        return inference.create_predictor(config), report
    except Exception as error:  # as above
        raise BundleError(
            f"{program}: Paddle Inference cannot load the program: {_reason(error)}"
        ) from None


def _value(inference: Any, argument: Any) -> Any:
    if isinstance(argument, Precision):
        return getattr(inference.PrecisionType, argument)
    return argument


def _shortened(summary: str) -> str:
    """Return in one line the rows of Paddle's table that are not switched off."""
    rows = re.findall(r"^\| (\w+) +\| (.*?) +\|$", summary, re.MULTILINE)
    left_out = {"Option", "model_file", "params_file", "openvino_inference_precision"}
    shown = [f"{name}: {value}" for name, value in rows if name not in left_out]
    return ", ".join(one for one in shown if not one.endswith(": false"))


def _reason(error: Exception) -> str:
    """Return the sentence that matters in one of Paddle's long error messages."""
    found = re.search(r"\(\w+\) ?([^\n]+)", str(error).rpartition("Error Message Summary:")[2])
    lines = [found.group(1)] if found else str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
