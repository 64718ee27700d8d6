"""What Paddle Inference is told for a device and a precision: calls on its `Config`, as data.

https://www.paddlepaddle.org.cn/inference/v3.0/api_reference/python_api_doc/Config_index.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

from ppcls.inference.engines import EngineOptions, NetworkInput

Setting = Tuple[str, Tuple[Any, ...]]

GPU_MEMORY_MB = 256
"""What Paddle reserves on the GPU at first; it takes more when it needs more."""

WORKSPACE_BYTES = 1 << 30
"""What TensorRT may use while it builds."""

SMALLEST_SUBGRAPH = 3
"""TensorRT takes over where as many operators follow one another."""

NAMES = {"fp32": "Float32", "fp16": "Half", "bf16": "Bfloat16", "int8": "Int8"}
"""Members of `paddle.inference.PrecisionType`."""


class Precision(str):
    """The name of a member of `paddle.inference.PrecisionType`, to be looked up before the call."""


def cpu_settings(threads: int, precision: str, onednn: bool) -> List[Setting]:
    """Return the settings for a CPU.

    oneDNN's kernels are faster than Paddle's own, and their differences to the dynamic network stay
    near 1e-6 of the logits' range.
    """
    calls: List[Setting] = [("disable_gpu", ()), ("set_cpu_math_library_num_threads", (threads,))]
    calls.append(("enable_mkldnn" if onednn else "disable_mkldnn", ()))
    if precision == "bf16":
        calls.append(("enable_mkldnn_bfloat16", ()))
    return calls


def gpu_settings(device: str, precision: str) -> List[Setting]:
    """Return the settings for a GPU, "gpu:N"."""
    index = int(device.partition(":")[2] or 0)
    return [("enable_use_gpu", (GPU_MEMORY_MB, index, Precision(NAMES[precision])))]


def common_settings(suffix: str) -> List[Setting]:
    """Return what all programs need; `suffix` is the program's, ".json" or ".pdmodel"."""
    calls: List[Setting] = [("disable_glog_info", ()), ("enable_memory_optim", ())]
    if suffix == ".json":
        # Without both, Paddle 3.x does not find the program that it wrote.
        calls += [("enable_new_ir", (True,)), ("enable_new_executor", (True,))]
    return calls


def tensorrt_settings(options: EngineOptions, input: NetworkInput, cache: Path) -> List[Setting]:
    """Return the settings by which a program of Paddle 2.6 (.pdmodel) runs through TensorRT.

    Batches may have 1 to `options.batch_size` images. What TensorRT builds is kept in `cache`.
    """
    one, usual, most = input.range_of_shapes(options.batch_size)
    precision = Precision(NAMES[options.precision])
    build = (WORKSPACE_BYTES, options.batch_size, SMALLEST_SUBGRAPH, precision, True, False)
    shapes = ({input.name: one}, {input.name: most}, {input.name: usual})
    return [
        ("enable_tensorrt_engine", build),
        ("set_trt_dynamic_shape_info", shapes),
        ("set_optim_cache_dir", (str(cache),)),
    ]


def conversion(options: EngineOptions, input: NetworkInput, target: Path) -> Dict[str, Any]:
    """Return how a program of Paddle 3.x (.json) becomes one with TensorRT inside.

    `inputs` are the arguments of `paddle.tensorrt.Input`, the rest those of
    `paddle.tensorrt.TensorRTConfig`; `target` is the path of the new program, without its suffix.
    https://www.paddlepaddle.org.cn/inference/v3.0/api_reference/python_api_doc/Paddle_TensorRT_interface.html
    """
    one, usual, most = map(tuple, input.range_of_shapes(options.batch_size))
    shapes = {"min_input_shape": one, "optim_input_shape": usual, "max_input_shape": most}
    return {
        "inputs": [{**shapes, "input_data_type": input.dtype, "name": input.name}],
        "precision_mode": options.precision.upper(),
        "min_subgraph_size": SMALLEST_SUBGRAPH,
        "workspace_size": WORKSPACE_BYTES,
        "save_model_dir": str(target),
    }
