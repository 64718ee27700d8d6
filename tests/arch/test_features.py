"""Networks as sources of feature maps."""

from __future__ import annotations

from typing import Any, List

import paddle
import pytest

from ppcls.arch import create_model
from ppcls.errors import ConfigError


def _shapes(out_indices: List[int], side: int = 64) -> List[List[int]]:
    extractor = create_model("ResNet18", features_only=True, out_indices=out_indices)
    extractor.eval()
    with paddle.no_grad():
        return [found.shape for found in extractor(paddle.zeros([2, 3, side, side]))]


@pytest.mark.slow
def test_all_levels_by_default() -> None:
    extractor = create_model("ResNet50", features_only=True)
    assert extractor.channels == [64, 256, 512, 1024, 2048]
    assert extractor.strides == [2, 4, 8, 16, 32]
    assert [level.stage for level in extractor.levels] == ["stem", *(f"stage{i}" for i in "1234")]


@pytest.mark.slow
def test_only_what_is_asked_for_is_kept_and_returned() -> None:
    assert _shapes([1, 3]) == [[2, 64, 16, 16], [2, 256, 4, 4]]
    assert _shapes([-1]) == [[2, 512, 2, 2]]
    extractor = create_model("ResNet18", features_only=True, out_indices=[1])
    assert {name.split(".")[0] for name in extractor.state_dict()} == {"stem", "stage1"}


@pytest.mark.slow
def test_maps_are_those_of_the_network() -> None:
    paddle.seed(3)
    network = create_model("ResNet18", class_num=3)
    paddle.seed(3)
    extractor = create_model("ResNet18", class_num=3, features_only=True)
    network.eval(), extractor.eval()
    images = paddle.randn([2, 3, 40, 56])
    with paddle.no_grad():
        assert bool((extractor(images)[-1] == network.features(images)).all().item())


def test_small_images_keep_their_resolution() -> None:
    extractor = create_model("ResNet18", features_only=True, stem="cifar", in_channels=1)
    assert extractor.strides == [1, 1, 2, 4, 8]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("indices", "words"),
    [
        ([5], "0: stem, 1: stage1"),
        ([-6], "got [-6]"),
        ([], "must name some"),
        ([2, 1], "must ascend"),
        ([1, 1], "each level once"),
    ],
)
def test_wrong_indices_are_explained(indices: List[int], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_model("ResNet18", features_only=True, out_indices=indices)
    assert words in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("indices", [1, "1", [1.5], ["stage1"]])
def test_indices_that_are_no_whole_numbers_are_explained(indices: Any) -> None:
    with pytest.raises(ConfigError, match="a list of whole numbers, got"):
        create_model("ResNet18", features_only=True, out_indices=indices)


def test_indices_need_features_only() -> None:
    with pytest.raises(ConfigError, match="features_only"):
        create_model("ResNet18", out_indices=[1])
