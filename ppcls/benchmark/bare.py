"""Engines called as their own documents show it, without the toolkit: what its cost is measured
against.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import numpy as np

Call = Callable[[np.ndarray], np.ndarray]


def bare_onnxruntime(files: Sequence[Path], threads: int, precision: str, batch: int) -> Call:
    """Open an ONNX file with ONNX Runtime."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(files[0]), settings, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def call(images: np.ndarray) -> np.ndarray:
        result: np.ndarray = session.run(None, {name: images})[0]
        return result

    return call


def bare_openvino(files: Sequence[Path], threads: int, precision: str, batch: int) -> Call:
    """Open an ONNX file, or OpenVINO's own, with OpenVINO, compiled for one size of batch; when
    another one comes, it is compiled for any.
    """
    import openvino

    core = openvino.Core()
    model = core.read_model(str(next((one for one in files if one.suffix == ".xml"), files[0])))
    exact = model.clone()
    exact.reshape([batch, *list(model.input(0).partial_shape)[1:]])
    hints = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }

    def opened(network: Any) -> Any:
        return core.compile_model(network, "CPU", hints).create_infer_request()

    requests = {True: opened(exact)}

    def call(images: np.ndarray) -> np.ndarray:
        is_exact = len(images) == batch
        if is_exact not in requests:
            requests[is_exact] = opened(model)
        request = requests[is_exact]
        result: np.ndarray = request.infer({0: images}, share_inputs=True, share_outputs=True)[0]
        return result

    return call


def bare_paddle(files: Sequence[Path], threads: int, precision: str, batch: int) -> Call:
    """Open a program with Paddle Inference and oneDNN."""
    from ppcls import runtime

    runtime.prepare()
    from paddle import inference

    program, weights = sorted(files, key=lambda path: path.suffix == ".pdiparams")
    config = inference.Config(str(program), str(weights))
    config.disable_glog_info()
    config.enable_memory_optim()
    config.set_cpu_math_library_num_threads(threads)
    config.enable_mkldnn()
    if precision == "bf16":
        config.enable_mkldnn_bfloat16()
    if program.suffix == ".json":
        config.enable_new_ir(True)
        config.enable_new_executor(True)
    predictor = inference.create_predictor(config)
    source = predictor.get_input_handle(predictor.get_input_names()[0])
    target = predictor.get_output_handle(predictor.get_output_names()[0])

    def call(images: np.ndarray) -> np.ndarray:
        source.reshape(images.shape)
        source.copy_from_cpu(images)
        predictor.run()
        result: np.ndarray = target.copy_to_cpu()
        return result

    return call


BARE: Dict[str, Callable[[Sequence[Path], int, str, int], Call]] = {
    "onnxruntime": bare_onnxruntime,
    "openvino": bare_openvino,
    "paddle": bare_paddle,
}
"""Engine -> a function of its files, threads, precision and batch size that opens it."""

RIVALS: List[str] = ["onnxruntime", "openvino"]
"""What `auto` is compared with."""
