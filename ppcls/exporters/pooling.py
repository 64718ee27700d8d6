"""What ONNX cannot express: adaptive pooling to several pixels, unless its windows are alike."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
from paddle import nn

from ppcls.errors import ExportError
from ppcls.exporters.static import run_dynamic


def refuse_uneven_pooling(network: nn.Layer, images: np.ndarray) -> None:
    """Refuse a network whose adaptive pooling has windows of several sizes for such images.

    ONNX, and OpenVINO's format that is made of it, pool with windows of one size at equal
    distances; the converter writes these without a word, and the answers would differ.

    Args:
        network: any network.
        images: float32 [n, c, h, w].

    Raises:
        ExportError: it is so; the message names the sizes.
    """
    found: List[Tuple[int, int]] = []
    pools = [
        layer
        for layer in network.sublayers()
        if isinstance(layer, nn.AdaptiveAvgPool2D) and layer._output_size != 1
    ]
    hooks = [
        layer.register_forward_pre_hook(lambda its, x: _note(its, x, found)) for layer in pools
    ]
    try:
        if pools:
            run_dynamic(network, images[:1])
    finally:
        for hook in hooks:
            hook.remove()
    for before, after in found:
        if not is_even(before, after):
            height, width = images.shape[2:]
            raise ExportError(
                f"ONNX, and OpenVINO with it, cannot express this network for images of {height} x "
                f"{width} pixels: it pools {before} pixels of a map's side to {after}, with "
                "windows of different sizes. Take the size that the network was designed for "
                f"({getattr(network, 'input_size', 'unknown')}), or --format paddle"
            )


def _note(layer: nn.Layer, inputs: Any, found: List[Tuple[int, int]]) -> None:
    size = layer._output_size
    wanted = [size, size] if isinstance(size, int) else list(size)
    found += [(before, after) for before, after in zip(inputs[0].shape[2:], wanted) if after]


def is_even(before: int, after: int) -> bool:
    """Tell whether windows that pool `before` pixels to `after` are equally large and far apart.

    Window i of adaptive pooling goes from floor(i * before / after) to
    ceil((i + 1) * before / after).
    """
    step = before // after
    size = before - (after - 1) * step
    return step > 0 and all(
        (i * before // after, -(-(i + 1) * before // after)) == (i * step, i * step + size)
        for i in range(after)
    )
