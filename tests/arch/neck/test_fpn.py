"""The feature pyramid, against NumPy and on the backbones that it is for."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls import registry
from ppcls.arch import create_model
from ppcls.arch.neck.fpn import FPN
from ppcls.arch.summary import count_parameters
from ppcls.errors import ConfigError


def _shapes(maps: List[paddle.Tensor]) -> List[List[int]]:
    return [list(found.shape) for found in maps]


class _Detector(nn.Layer):
    """A backbone with a pyramid on it, as a detector has them."""

    def __init__(self, backbone: nn.Layer, width: int = 8) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = FPN(backbone.channels, width)

    def forward(self, images: paddle.Tensor) -> List[paddle.Tensor]:
        return self.neck(self.backbone(images))


def test_parameters_on_resnet50_are_the_published_ones() -> None:
    assert count_parameters(FPN([256, 512, 1024, 2048])) == 3_344_384


def _convolved(x: np.ndarray, conv: nn.Conv2D) -> np.ndarray:
    """Convolve [c, h, w] with stride 1 and half the kernel as padding."""
    weight, side = conv.weight.numpy().astype(np.float64), conv.weight.shape[-1]
    padded = np.pad(x, [(0, 0), (side // 2, side // 2), (side // 2, side // 2)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows, weight) + conv.bias.numpy()[:, None, None]


def test_maps_are_laterals_plus_what_is_above_in_twice_the_size() -> None:
    paddle.seed(1)
    neck = FPN([3, 5], out_channels=4)
    for parameter in neck.parameters():
        parameter.set_value(paddle.randn(parameter.shape))
    rng = np.random.default_rng(0)
    fine, coarse = rng.standard_normal((3, 6, 4)), rng.standard_normal((5, 3, 2))
    top = _convolved(coarse, neck.lateral[1])
    bottom = _convolved(fine, neck.lateral[0]) + top.repeat(2, axis=1).repeat(2, axis=2)
    got = neck([paddle.to_tensor(x[None].astype("float32")) for x in (fine, coarse)])
    for found, expected, conv in zip(got, (bottom, top), neck.output):
        np.testing.assert_allclose(found[0].numpy(), _convolved(expected, conv), atol=1e-4)


def test_odd_sides_are_met_by_the_nearest_pixel() -> None:
    neck = FPN([1, 1], out_channels=1)
    for conv in (*neck.lateral, *neck.output):
        centre = np.zeros(conv.weight.shape, "float32")
        centre[..., centre.shape[-1] // 2, centre.shape[-1] // 2] = 1.0
        conv.weight.set_value(centre)
    coarse = np.arange(9, dtype="float32").reshape(1, 1, 3, 3)
    found = neck([paddle.zeros([1, 1, 5, 5]), paddle.to_tensor(coarse)])[0].numpy()
    rows = [0, 0, 1, 1, 2]
    np.testing.assert_array_equal(found[0, 0], coarse[0, 0][rows][:, rows])


def test_maps_of_one_size_are_added_as_they_are() -> None:
    neck = FPN([2, 2, 2], out_channels=2)
    maps = [paddle.randn([1, 2, 4, 4]) for _ in range(3)]
    top = neck.lateral[2](maps[2])
    expected = neck.output[1](neck.lateral[1](maps[1]) + top)
    np.testing.assert_array_equal(neck(maps)[1].numpy(), expected.numpy())


@pytest.mark.parametrize(
    ("name", "out_indices", "sides"),
    [
        pytest.param("ResNet50", [1, 2, 3, 4], [16, 8, 4, 2], marks=pytest.mark.slow),
        pytest.param("DetNet59", [1, 2, 3, 4, 5], [16, 8, 4, 4, 4], marks=pytest.mark.slow),
        ("MobileNetV3_large_x1_0", [1, 2, 3, 4], [16, 8, 4, 2]),
        ("MobileNetV3_small_x1_0", [0, 1, 2, 3, 4], [32, 16, 8, 4, 2]),
    ],
)
def test_it_sits_on_backbones(name: str, out_indices: List[int], sides: List[int]) -> None:
    backbone = create_model(name, features_only=True, out_indices=out_indices)
    detector = _Detector(backbone)
    assert [64 // stride for stride in backbone.strides] == sides
    maps = detector(paddle.randn([1, 3, 64, 64]))
    assert _shapes(maps) == [[1, 8, side, side] for side in sides]
    sum(found.mean() for found in maps).backward()
    for key, parameter in detector.named_parameters():
        if not parameter.stop_gradient:
            assert parameter.grad is not None, key


def test_image_sides_need_not_be_multiples_of_the_stride() -> None:
    detector = _Detector(create_model("ResNet18", features_only=True, out_indices=[1, 2, 3, 4]))
    detector.eval()
    maps = detector(paddle.randn([1, 3, 75, 50]))
    assert [shape[2:] for shape in _shapes(maps)] == [[19, 13], [10, 7], [5, 4], [3, 2]]


@pytest.mark.slow
def test_it_becomes_a_static_program_for_any_batch(tmp_path: Path) -> None:
    detector = _Detector(create_model("ResNet18", features_only=True, out_indices=[2, 3, 4]))
    detector.eval()
    images = paddle.randn([3, 3, 40, 40])
    expected = [found.numpy() for found in detector(images)]
    spec = [paddle.static.InputSpec([None, 3, 40, 40], "float32")]
    static = paddle.jit.to_static(detector, input_spec=spec, full_graph=True)
    paddle.jit.save(static, str(tmp_path / "detector"))
    got = paddle.jit.load(str(tmp_path / "detector"))(images)
    for found, wanted in zip(got, expected):
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_it_is_a_part_that_configurations_can_name() -> None:
    part = registry.parse("neck", {"FPN": {"in_channels": [4, 8], "out_channels": 6}})
    assert part.build().channels == [6, 6]
    with pytest.raises(ConfigError, match="in_channels"):
        registry.create("neck", "FPN", {"in_channels": []})


def test_as_many_maps_as_it_was_built_for() -> None:
    with pytest.raises(ConfigError, match="built for 2 maps, .* got 1"):
        FPN([4, 8])([paddle.zeros([1, 4, 2, 2])])
