"""The building blocks that the families share."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcls.arch.layers import (
    DropPath,
    LocalResponseNorm,
    channel_shuffle,
    make_divisible,
    split_rates,
)


def test_drop_path_does_nothing_in_evaluation() -> None:
    layer = DropPath(0.9)
    layer.eval()
    images = paddle.randn([8, 2, 3, 3])
    assert bool((layer(images) == images).all().item())


def test_drop_path_drops_whole_images_and_keeps_the_mean() -> None:
    paddle.seed(0)
    found = DropPath(0.25)(paddle.ones([4000, 2, 1, 1])).numpy()
    assert set(np.unique(found)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (found[:, 0] == found[:, 1]).all()
    assert (found == 0).mean() == pytest.approx(0.25, abs=0.03)


def test_rates_rise_over_all_blocks_of_the_network() -> None:
    rates = split_rates(0.6, [1, 3, 2])
    assert [len(stage) for stage in rates] == [1, 3, 2]
    assert sum(rates, []) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_channels_are_dealt_out_to_groups() -> None:
    channels = paddle.arange(6, dtype="float32").reshape([1, 6, 1, 1])
    assert channel_shuffle(channels, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert channel_shuffle(channels, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize(("value", "rounded"), [(3, 8), (20, 24), (19.9, 24), (35, 32), (36, 40)])
def test_channels_are_rounded_to_multiples(value: float, rounded: int) -> None:
    assert make_divisible(value) == rounded


def test_local_response_normalisation_is_the_formula_of_2012() -> None:
    maps = np.random.default_rng(0).normal(0, 30, (2, 7, 3, 4)).astype("float32")
    expected = np.empty_like(maps)
    for channel in range(7):
        near = maps[:, max(0, channel - 2) : channel + 3]
        expected[:, channel] = maps[:, channel] / (2 + 1e-4 * (near**2).sum(1)) ** 0.75
    np.testing.assert_allclose(LocalResponseNorm()(paddle.to_tensor(maps)), expected, rtol=1e-5)
