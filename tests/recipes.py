"""Our recipes, and which of them stand for the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
RECIPES = sorted(path for path in CONFIGS.rglob("*.yaml") if "_base_" not in path.parts)

_OF_A_BASE = {
    *("AlexNet", "EfficientNetLite0", "MobileNetV3_small_x0_5", "MobileNetV3_small_x1_0_tv"),
    *("EfficientNetB0", "EfficientNetV2_S", "InceptionV3", "ResNet18_vd"),
    *("ShuffleNetV1_g8", "SqueezeNet1_1"),
}
"""One of each base."""


def all_recipes(below: str = "", others: pytest.MarkDecorator = pytest.mark.slow) -> List[Any]:
    """Return the files of recipes in a folder of `configs/` as parameters of a test.

    Args:
        below: the folder.
        others: marks those that another one stands for.
    """
    return [
        pytest.param(
            path,
            id=path.stem,
            marks=[] if path.stem in _OF_A_BASE or "quick_start" in path.parts else [others],
        )
        for path in RECIPES
        if (CONFIGS / below) in path.parents
    ]
