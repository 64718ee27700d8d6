"""A map times one number for each channel of each image, as Paddle multiplies."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np
import paddle
import pytest

from ppcls.kernels import feature_map
from ppcls.kernels.feature_map import FeatureMap
from ppcls.kernels.layout import Layout
from ppcls.kernels.onednn import Unavailable
from tests.kernels.processor import needs_bfloat16


def scaled(
    values: np.ndarray, gate: np.ndarray, order: str, dtype: str = "float32"
) -> Tuple[FeatureMap, List[np.ndarray]]:
    """Return the result, and the gradients of the map and of its factors."""
    x, factors = paddle.to_tensor(values), paddle.to_tensor(gate)
    x.stop_gradient = factors.stop_gradient = False
    whole = FeatureMap.of(x)
    laid = FeatureMap(whole.laid(order, dtype), Layout(whole.layout.shape, order, dtype))
    found = laid.scaled(FeatureMap.of(factors))
    weight = paddle.to_tensor(np.cos(np.arange(values.size, dtype="f4")).reshape(values.shape))
    (found.plain() * weight).sum().backward()
    return found, [x.grad.numpy(), factors.grad.numpy()]


def drawn(channels: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(channels)
    values = rng.normal(size=(3, channels, 5, 7)).astype("f4")
    gate = rng.uniform(size=(3, channels, 1, 1)).astype("f4")
    return values, gate, np.cos(np.arange(values.size, dtype="f4")).reshape(values.shape)


@pytest.mark.parametrize("channels", [16, 24, 33])
@pytest.mark.parametrize("order", ["NCHW", "NHWC", "NCHW16c", "NCHW8c", "NCHW4c"])
@pytest.mark.parametrize("possible", [True, False])
def test_result_and_gradients(
    possible: bool, order: str, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(*_: object) -> None:
        raise Unavailable("no such operator")

    if not possible:
        monkeypatch.setattr(feature_map, "scale", impossible)
    values, gate, weight = drawn(channels)
    found, (of_map, of_gate) = scaled(values, gate, order)
    assert found.layout.order == order
    assert (found.plain().numpy() == values * gate).all()
    np.testing.assert_allclose(of_map, weight * gate, rtol=1e-6)
    expected = (weight * values).sum(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(of_gate, expected, rtol=1e-5, atol=1e-5)
    again = scaled(values, gate, order)[1]
    assert all(one.tobytes() == other.tobytes() for one, other in zip(again, (of_map, of_gate)))


@needs_bfloat16
def test_bfloat16_stays_bfloat16() -> None:
    values, gate, weight = drawn(24)
    found, (of_map, of_gate) = scaled(values, gate, "NCHW16c", "bfloat16")
    assert found.layout.dtype == "bfloat16"
    np.testing.assert_allclose(found.plain().numpy(), values * gate, rtol=2e-2, atol=1e-3)
    np.testing.assert_allclose(of_map, weight * gate, rtol=2e-2, atol=1e-3)
    expected = (weight * values).sum(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(of_gate, expected, atol=0.05 * abs(values).sum() ** 0.5)
