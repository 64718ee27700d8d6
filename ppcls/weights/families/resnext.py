"""ResNeXt elsewhere."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.families.resnet import TORCH
from ppcls.weights.naming import Naming, minus_one, row, same_names

FAMILY = "ResNeXt"


def _block(match: re.Match[str], network: Any) -> str:
    """Count stages from zero, as PaddleClas does: stage1.2 is bb_0_2."""
    return f"bb_{int(match[1]) - 1}_{match[2]}."


_TORCH_MODELS = {
    f"resnext{name}": row(f"ResNeXt{name}")
    for name in ("50_32x4d", "101_32x4d", "101_32x8d", "101_64x4d")
}
_PADDLECLAS = [f"ResNeXt{depth}_{groups}x4d" for depth in (50, 101, 152) for groups in (32, 64)]

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stage(\d)\.(\d+)\.", _block),
            (r"(\.conv)(\d)(\.)", minus_one),
            (r"\.shortcut\.", ".short."),
            (r"^stem\.", "conv."),
            (r"\.conv\.([^.]+)$", r"._conv.\1"),
            (r"\.bn\.", "._batch_norm."),
            (r"^head\.fc", "out"),
        ],
        models=same_names(_PADDLECLAS),
    ),
    "torchvision": Naming(rules=TORCH, models=_TORCH_MODELS),
    "timm": Naming(rules=TORCH, models=_TORCH_MODELS),
}
