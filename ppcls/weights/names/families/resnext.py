"""Parameter names of ResNeXt in other toolkits."""

from __future__ import annotations

from typing import Dict

from ppcls.weights.names.families.resnet import TORCH
from ppcls.weights.names.rules import Naming, minus_one, plus_one, row, same_names

FAMILY = "ResNeXt"


_SIZES = [f"{depth}{form}" for depth in (50, 101, 152) for form in ("_32x4d", "_64x4d")]
_VD_SIZES = [size.replace("_", "_vd_") for size in _SIZES]
_TORCHVISION = {
    f"resnext{name}": row(f"ResNeXt{name}") for name in ("50_32x4d", "101_32x8d", "101_64x4d")
}
_TIMM = {
    **_TORCHVISION,
    "resnext101_32x4d": row("ResNeXt101_32x4d"),
    "resnext101_32x16d": row("ResNeXt101_32x8d", bottleneck_width=32 * 16),
    "resnext101_32x32d": row("ResNeXt101_32x8d", bottleneck_width=32 * 32),
    "resnext50d_32x4d": row("ResNeXt50_vd_32x4d"),
}

_WSL = [
    (r"^_conv_stem\.", "conv."),
    (r"^_conv1_", "bb_0_"),
    (r"^_conv2_", "bb_1_"),
    (r"^_conv3_", "bb_2_"),
    (r"^_conv4_", "bb_3_"),
    (r"\._short\._conv\.", ".short."),
    (r"\._conv(\d)\.", r".conv\1."),
    (r"\._bn\.", "._batch_norm."),
    (r"^_out\.", "out."),
]
"""PaddleClas calls the layers of the ResNeXts that were trained on Instagram's images otherwise."""
_WSL_MODELS = {
    f"ResNeXt101_32x{width}d_wsl": row("ResNeXt101_32x8d", bottleneck_width=32 * width)
    for width in (8, 16, 32, 48)
}

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            # Stages are counted from zero: stage1.2 is bb_0_2.
            (r"^(stage)(\d)(\.)", minus_one),
            (r"^stage(\d)\.(\d+)\.", r"bb_\1_\2."),
            (r"(\.conv)(\d)(\.)", minus_one),
            (r"\.shortcut\.(?:conv\.)?(conv|bn)\.", r".short.\1."),
            # The convolutions of a deep stem are counted from one: stem.0 is conv1_1.
            (r"^(stem\.)(\d)(\.)", plus_one),
            (r"^stem\.(\d)\.", r"conv1_\1."),
            (r"^stem\.", "conv."),
            (r"\.conv\.([^.]+)$", r"._conv.\1"),
            (r"\.bn\.", "._batch_norm."),
            (r"^head\.fc", "out"),
        ],
        models={
            **same_names([f"ResNeXt{size}" for size in (*_SIZES, *_VD_SIZES)]),
            **_WSL_MODELS,
        },
        older=_WSL,
    ),
    "torchvision": Naming(rules=TORCH, models=_TORCHVISION),
    "timm": Naming(rules=TORCH, models=_TIMM),
}
