"""Branches side by side, and what else the Inception networks share."""

from __future__ import annotations

from functools import partial

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls.arch.inception import AuxiliaryPool, Branches, average3x3, chain, fork
from ppcls.arch.layers import ConvAct, ConvBNAct

_conv = partial(ConvAct, bias=False)


def test_branches_see_the_same_input_and_are_concatenated_in_order() -> None:
    branches = Branches(("all", nn.Identity()), ("negative", nn.ReLU()))
    x = paddle.to_tensor([[[[-1.0]], [[2.0]]]])
    assert branches(x).flatten().tolist() == [-1, 2, 0, 2]


def test_a_chain_is_a_table_of_convolutions() -> None:
    branch = chain(_conv, 3, (4, 1), (5, (1, 7)), (6, 3, 2, 0), pool=nn.MaxPool2D(3, 1, padding=1))
    assert list(branch._sub_layers) == ["pool", "conv1", "conv2", "conv3"]
    shapes = [list(layer.conv.weight.shape) for layer in list(branch)[1:]]
    assert shapes == [[4, 3, 1, 1], [5, 4, 1, 7], [6, 5, 3, 3]]
    assert branch(paddle.ones([2, 3, 9, 9])).shape == [2, 6, 4, 4]


def test_a_fork_has_a_row_and_a_column() -> None:
    layers = fork(partial(ConvBNAct, eps=0.5), 3, 4)
    assert list(layers.row.conv.weight.shape) == [4, 3, 1, 3]
    assert list(layers.column.conv.weight.shape) == [4, 3, 3, 1]
    assert layers(paddle.ones([1, 3, 5, 5])).shape == [1, 8, 5, 5]


@pytest.mark.parametrize(("padded", "corner"), [(True, 4 / 9), (False, 1)])
def test_averages_count_the_padding_or_not(padded: bool, corner: float) -> None:
    averaged = average3x3(padded)(paddle.ones([1, 1, 4, 4])).numpy()[0, 0]
    assert averaged[0, 0] == pytest.approx(corner)
    assert averaged[1, 1] == pytest.approx(1)


def test_the_auxiliary_pooling_is_5x5_with_stride_3_where_it_fits() -> None:
    x = np.random.default_rng(0).standard_normal((1, 2, 13, 13)).astype("float32")
    got = AuxiliaryPool(3)(paddle.to_tensor(x)).numpy()
    expected = [[x[0, :, i : i + 5, j : j + 5].mean((1, 2)) for j in (0, 3, 6)] for i in (0, 3, 6)]
    np.testing.assert_allclose(got[0], np.moveaxis(np.array(expected), 2, 0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("side", [1, 4, 5, 20])
def test_the_auxiliary_pooling_takes_maps_of_any_size(side: int) -> None:
    pooled = AuxiliaryPool(4)(paddle.ones([1, 2, side, side])).numpy()
    assert pooled.shape == (1, 2, 4, 4)
    np.testing.assert_allclose(pooled, 1)
