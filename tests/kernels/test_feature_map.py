"""Maps in other layouts are the same maps."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcls.kernels.feature_map import FeatureMap, interleaved, plain, side_by_side
from ppcls.kernels.layout import PLAIN, Layout
from tests.kernels.processor import needs_bfloat16


def laid(tensor: paddle.Tensor, order: str) -> FeatureMap:
    whole = FeatureMap.of(tensor)
    return FeatureMap(whole.laid(order), Layout(whole.layout.shape, order))


@pytest.mark.parametrize("order", ["NCHW16c", "NCHW8c", "NCHW4c", "NHWC"])
def test_a_layout_and_back_changes_nothing(order: str) -> None:
    x = paddle.randn([2, 20, 3, 5])
    x.stop_gradient = False
    found = laid(x, order)
    assert found.shape == [2, 20, 3, 5] and found.read().shape[0] == 2
    assert (found.plain() == x).all().item()
    weight = paddle.randn(x.shape)
    assert (paddle.grad(found.plain(), x, weight)[0] == weight).all().item()


def test_blocks_have_zeros_beyond_the_last_channel() -> None:
    data = laid(paddle.ones([1, 3, 2, 2]), "NCHW8c").read().numpy().reshape(2, 2, 8)
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


def in_bfloat16(tensor: paddle.Tensor, order: str) -> FeatureMap:
    whole = FeatureMap.of(tensor)
    return FeatureMap(whole.laid(order, "bfloat16"), Layout(whole.layout.shape, order, "bfloat16"))


@needs_bfloat16
@pytest.mark.parametrize("order", [PLAIN, "NCHW16c", "NHWC"])
def test_bfloat16_has_eight_bits(order: str) -> None:
    x = paddle.randn([2, 20, 3, 5])
    found = in_bfloat16(x, order)
    assert found.read().dtype == paddle.bfloat16
    bits = x.numpy().view(np.uint32)
    nearest = ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32)
    assert (found.plain().numpy() == nearest.view(np.float32)).all()  # Paddle 2.6 cuts bits off
    assert (found.in_float32().plain() == found.plain()).all().item()


@needs_bfloat16
def test_gradients_of_many_readers_add_up_in_bfloat16() -> None:
    x = paddle.randn([2, 20, 3, 5])
    x.stop_gradient = False
    found = in_bfloat16(x, "NHWC")
    both = found + found
    joined = side_by_side([both, found, in_bfloat16(x, "NCHW16c")])
    assert joined.layout.dtype == "bfloat16"
    weight = paddle.randint(-4, 5, joined.shape).astype("float32")
    one, two, three = paddle.split(weight, 3, axis=1)
    expected = 2 * one + two + three  # whole numbers below 256 are exact
    assert (paddle.grad(joined.plain(), x, weight)[0] == expected).all().item()


@needs_bfloat16
def test_maps_of_two_types_add_up() -> None:
    a, b = paddle.ones([1, 16, 2, 2]), 2 * paddle.ones([1, 16, 2, 2])
    for found in (
        laid(a, "NHWC") + in_bfloat16(b, "NCHW16c"),
        in_bfloat16(a, "NHWC") + laid(b, PLAIN),
    ):
        assert (plain(found) == 3).all().item()
    gate = FeatureMap.of(paddle.full([1, 16, 1, 1], 0.5))
    assert (in_bfloat16(b, "NCHW16c").scaled(gate).plain() == 1).all().item()
    assert ((0.5 * in_bfloat16(b, "NHWC")).plain() == 1).all().item()


@needs_bfloat16
def test_what_needs_no_gradient_gets_none_in_bfloat16() -> None:
    x, fixed = paddle.randn([1, 16, 2, 2]), paddle.randn([1, 16, 2, 2])
    x.stop_gradient = False
    joined = side_by_side([in_bfloat16(fixed, "NHWC"), in_bfloat16(x, "NHWC")])
    added = in_bfloat16(fixed, "NHWC") + in_bfloat16(x, "NHWC")
    weight = paddle.ones([1, 32, 2, 2])
    assert (paddle.grad(joined.plain(), x, weight)[0] == 1).all().item()
    assert (paddle.grad(plain(added), x, weight[:, :16])[0] == 1).all().item()


@needs_bfloat16
def test_a_look_without_gradients_does_not_cut_them_off() -> None:
    x = paddle.randn([1, 16, 2, 2])
    x.stop_gradient = False
    found = in_bfloat16(x, "NHWC")
    with paddle.no_grad():
        assert found.plain().stop_gradient
    assert (paddle.grad(found.read(), x, paddle.ones([1, 2, 2, 16], "bfloat16"))[0] == 1).all()


@pytest.mark.parametrize("order", ["NCHW", "NCHW8c"])
def test_channels_in_turns(order: str) -> None:
    a, b = paddle.randn([2, 20, 3, 5]), paddle.randn([2, 20, 3, 5])
    a.stop_gradient = b.stop_gradient = False
    found = interleaved(laid(a, order), laid(b, "NCHW")).plain()
    assert (found[:, 0::2] == a).all().item() and (found[:, 1::2] == b).all().item()
    weight = paddle.randn(found.shape)
    gradients = paddle.grad(found, [a, b], weight)
    assert (gradients[0] == weight[:, 0::2]).all().item()
    assert (gradients[1] == weight[:, 1::2]).all().item()
