"""Maps in other layouts are the same maps."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcls.kernels.feature_map import FeatureMap, plain, side_by_side
from ppcls.kernels.layout import Layout


def laid(tensor: paddle.Tensor, order: str) -> FeatureMap:
    whole = FeatureMap.of(tensor)
    return FeatureMap(whole.laid(order), Layout(whole.layout.shape, order))


@pytest.mark.parametrize("order", ["NCHW16c", "NCHW8c", "NCHW4c", "NHWC"])
def test_a_layout_and_back_changes_nothing(order: str) -> None:
    x = paddle.randn([2, 20, 3, 5])
    x.stop_gradient = False
    found = laid(x, order)
    assert found.shape == [2, 20, 3, 5] and found.data.shape[0] == 2
    assert (found.plain() == x).all().item()
    weight = paddle.randn(x.shape)
    assert (paddle.grad(found.plain(), x, weight)[0] == weight).all().item()


def test_blocks_have_zeros_beyond_the_last_channel() -> None:
    data = laid(paddle.ones([1, 3, 2, 2]), "NCHW8c").data.numpy().reshape(2, 2, 8)
    assert (data == np.array([1, 1, 1, 0, 0, 0, 0, 0])).all()


def test_maps_add_up_whatever_their_layouts() -> None:
    a, b = paddle.randn([2, 20, 3, 5]), paddle.randn([2, 20, 3, 5])
    for one, other in (("NCHW16c", "NCHW16c"), ("NCHW", "NCHW8c"), ("NHWC", "NCHW16c")):
        found = laid(a, one) + laid(b, other)
        assert (found.plain() == a + b).all().item()
    assert (plain(laid(a, "NHWC") + b[:, :, :1]) == a + b[:, :, :1]).all().item()


@pytest.mark.parametrize("channels", [(16, 32), (16, 20)])
def test_maps_are_joined_and_scaled(channels: tuple) -> None:
    a, b = (paddle.randn([2, count, 3, 5]) for count in channels)
    for order in ("NCHW", "NCHW16c", "NHWC"):
        both = side_by_side([laid(a, order), laid(b, order)])
        assert (both.plain() == paddle.concat([a, b], axis=1)).all().item()
        gate = paddle.randn([2, sum(channels), 1, 1])
        expected = paddle.concat([a, b], axis=1) * gate
        assert (both.scaled(FeatureMap.of(gate)).plain() == expected).all().item()
        assert ((2.0 * both).plain() == 2.0 * both.plain()).all().item()
