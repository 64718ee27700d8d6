"""Paddle Inference: runs bundles written by Paddle 2.6 (.pdmodel) and by Paddle 3.x (.json)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from ppcls import runtime
from ppcls.errors import BundleError
from ppcls.inference.engines import EngineOptions

Setting = Tuple[str, Tuple[Any, ...]]

GPU_MEMORY_MB = 256
"""What Paddle reserves on the GPU at first; it takes more when it needs more."""


class PaddleEngine:
    """A bundle's program in Paddle Inference.

    Raises:
        UsageError: Paddle is not installed, or a GPU is asked for and there is none.
        BundleError: the files are no program with weights, or the installed Paddle cannot load it.
    """

    def __init__(self, files: Sequence[Path], options: EngineOptions) -> None:
        runtime.prepare()
        import paddle

        self._program, weights = program_and_weights(files)
        check_version(self._program, paddle.__version__)
        self.device = runtime.choose_device(options.device, "--device cpu")
        self.threads = options.threads or runtime.available_cores()
        self.settings = settings(self._program.suffix, self.device, self.threads)
        self._version = paddle.__version__
        self._predictor = _load(self._program, weights, self.settings)
        inputs, outputs = self._predictor.get_input_names(), self._predictor.get_output_names()
        if not inputs or not outputs:
            raise BundleError(
                f"{self._program}: the program has {len(inputs)} inputs and {len(outputs)} "
                "outputs, where there must be one of each; export the network again"
            )
        self._input = self._predictor.get_input_handle(inputs[0])
        self._output = self._predictor.get_output_handle(outputs[0])

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 [n, classes], of preprocessed images, float32 [n, c, h, w].

        Raises:
            BundleError: the program does not accept the images.
        """
        try:
            self._input.reshape(images.shape)
            self._input.copy_from_cpu(np.ascontiguousarray(images, dtype=np.float32))
            self._predictor.run()
            result: np.ndarray = self._output.copy_to_cpu()
        except Exception as error:  # it raises what it likes, MemoryError and IndexError too
            shape = "x".join(map(str, images.shape))
            raise BundleError(
                f"{self._program}: the program fails on images of shape {shape}: {_reason(error)}"
            ) from None
        return result

    def describe(self) -> Dict[str, Any]:
        """Return the engine's name, version, device, threads and settings."""
        return {
            "name": "paddle",
            "version": self._version,
            "device": self.device,
            "threads": self.threads,
            "settings": {name: list(arguments) for name, arguments in self.settings},
        }


def settings(suffix: str, device: str, threads: int) -> List[Setting]:
    """Return the calls on `paddle.inference.Config` that prepare a program for a device.

    `suffix` is the program's, ".json" or ".pdmodel". oneDNN is on for the CPU: it is faster than
    Paddle's own kernels, and its differences to the dynamic network stay near 1e-6 of the logits'
    range.
    """
    calls: List[Setting] = [("disable_glog_info", ()), ("enable_memory_optim", ())]
    if device.startswith("gpu"):
        calls.append(("enable_use_gpu", (GPU_MEMORY_MB, int(device.partition(":")[2]))))
    else:
        calls += [
            ("disable_gpu", ()),
            ("set_cpu_math_library_num_threads", (threads,)),
            ("enable_mkldnn", ()),
        ]
    if suffix == ".json":
        # Without both, Paddle 3.x does not find the program that it wrote.
        calls += [("enable_new_ir", (True,)), ("enable_new_executor", (True,))]
    return calls


def program_and_weights(files: Sequence[Path]) -> Tuple[Path, Path]:
    """Tell the two files of a network in Paddle's format apart.

    Raises:
        BundleError: one of them is not there.
    """
    by_suffix = {path.suffix: path for path in files}
    program, weights = (
        by_suffix.get(".json", by_suffix.get(".pdmodel")),
        by_suffix.get(".pdiparams"),
    )
    if program is None or weights is None:
        raise BundleError(
            f"{files[0].parent}: a network in the format 'paddle' is a program (.json or .pdmodel) "
            f"and weights (.pdiparams), the bundle has {', '.join(path.name for path in files)}"
        )
    return program, weights


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


def _load(program: Path, weights: Path, calls: List[Setting]) -> Any:
    from paddle import inference

    config = inference.Config(str(program), str(weights))
    for name, arguments in calls:
        getattr(config, name)(*arguments)
    try:
        return inference.create_predictor(config)
    except Exception as error:  # as above
        raise BundleError(
            f"{program}: Paddle Inference cannot load the program: {_reason(error)}"
        ) from None


def _reason(error: Exception) -> str:
    """Return the sentence that matters in one of Paddle's long error messages."""
    found = re.search(r"\(\w+\) ?([^\n]+)", str(error).rpartition("Error Message Summary:")[2])
    lines = [found.group(1)] if found else str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
