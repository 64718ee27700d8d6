"""Which of our recipes stand for the others: one of each base, and all that are not ImageNet's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable, List

import pytest

_OF_A_BASE = {
    *("AlexNet", "EfficientNetLite0", "MobileNetV3_small_x0_5", "MobileNetV3_small_x1_0_tv"),
    *("EfficientNetB0", "InceptionV3", "ResNet18_vd", "ShuffleNetV1_g8", "SqueezeNet1_1"),
}


def one_of_each_base(recipes: Iterable[str]) -> List[Any]:
    """Return recipes (names, or paths) as parameters of a test, most of them exhaustive."""
    return [
        recipe
        if Path(recipe).stem in _OF_A_BASE or "quick_start" in recipe
        else pytest.param(recipe, marks=pytest.mark.exhaustive)
        for recipe in recipes
    ]
