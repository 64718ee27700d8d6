"""Grad-CAM against class activation maps, which it equals where a head averages and then weighs."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcls.arch import build
from ppcls.registry import Part
from ppcls.report.attribution import grad_cam, overlays

NETWORKS = ["LeNet", "MobileNetV3_small_x0_35", "SqueezeNet1_1", "GoogLeNet"]


@pytest.mark.slow
def test_is_the_class_activation_map_of_a_network_that_averages() -> None:
    paddle.seed(0)
    network = build(Part("arch", "ResNet18", {"class_num": 3}))
    network.train()
    images = np.random.default_rng(0).normal(0, 1, (2, 3, 64, 64)).astype(np.float32)
    classes = np.array([2, 0])
    heat = grad_cam(network, images, classes)
    assert network.training and all(p.grad is None for p in network.parameters())
    network.eval()
    with paddle.no_grad():
        maps = network.features(paddle.to_tensor(images)).numpy()
    last = [layer for layer in network.head.sublayers() if isinstance(layer, paddle.nn.Linear)][-1]
    weights = last.weight.numpy()[:, classes].T
    expected = np.maximum(np.einsum("nc,nchw->nhw", weights, maps), 0)
    expected /= np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-12)
    np.testing.assert_allclose(heat, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_structure_of_heads(name: str) -> None:
    paddle.seed(0)
    network = build(Part("arch", name, {"class_num": 3}))
    side = max(64, network.min_input_size)
    images = np.random.default_rng(0).normal(0, 1, (1, network.in_channels, side, side))
    heat = grad_cam(network, images.astype(np.float32), np.array([1]))
    assert heat.ndim == 3 and heat.dtype == np.float32
    assert heat.min() >= 0 and heat.max() in (0.0, 1.0)


def test_nothing_speaks_for_it() -> None:
    network = build(Part("arch", "LeNet", {"class_num": 3}))
    for parameter in network.head.parameters():
        parameter.set_value(paddle.zeros_like(parameter))
    heat = grad_cam(network, np.ones((1, 1, 32, 32), np.float32), np.array([0]))
    assert not heat.any()


def test_overlay_is_hot_where_the_heat_is() -> None:
    heat = np.zeros((1, 2, 2), np.float32)
    heat[0, 0, 0] = 1
    (picture,) = overlays(np.full((1, 20, 20, 3), 128, np.uint8), heat)
    assert picture.shape == (20, 20, 3) and picture.dtype == np.uint8
    hot, cold = picture[1, 1].astype(int), picture[18, 18].astype(int)
    assert hot[0] - hot[2] > cold[0] - cold[2] and cold[2] > cold[0]
