"""Adaptive pooling that ONNX cannot express is named before anything is written."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.arch import create_model
from ppcls.errors import ExportError
from ppcls.exporters.pooling import is_even, refuse_uneven_pooling


@given(st.integers(1, 12), st.integers(1, 7))
def test_even_windows_are_those_of_plain_pooling(before: int, after: int) -> None:
    if before < after:
        assert not is_even(before, after)
        return
    line = paddle.to_tensor(np.random.default_rng(0).normal(size=(1, 1, before)).astype("float32"))
    adaptive = paddle.nn.functional.adaptive_avg_pool1d(line, after).numpy()
    step = before // after
    size = before - (after - 1) * step
    plain = paddle.nn.functional.avg_pool1d(line, size, step).numpy()
    assert is_even(before, after) == np.allclose(plain, adaptive, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("side", "fits"), [(224, True), (256, True), (320, False)])
def test_sizes_of_a_network_that_pools_to_several_pixels(side: int, fits: bool) -> None:
    network, images = create_model("AlexNet", class_num=2), np.zeros((1, 3, side, side), np.float32)
    if fits:
        refuse_uneven_pooling(network, images)
        return
    message = "for images of 320 x 320 pixels: it pools 9 pixels of a map's side to 6, .* .224."
    with pytest.raises(ExportError, match=message):
        refuse_uneven_pooling(network, images)
    assert not network.training or all(
        not layer._forward_pre_hooks for layer in network.sublayers()
    )
