"""Parameter names of EfficientNetV2 in other toolkits."""

from __future__ import annotations

from typing import Dict

from ppcls.weights.names.families.efficientnet import TIMM, TORCHVISION
from ppcls.weights.names.rules import Naming, block_number, row, same_names

FAMILY = "EfficientNetV2"

_SIZES = ("s", "m", "l")

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.conv", "_stem._conv_stem._conv"),
            (r"^stem\.bn", "_stem._norm"),
            (r"^(stage1\.\d+)\.fused\.conv", r"\1._project_conv._conv"),
            (r"^(stage1\.\d+)\.fused\.bn", r"\1._norm1"),
            (r"^(stage[23]\.\d+)\.project\.bn", r"\1._norm1"),
            (r"\.se\.(reduce|expand)\.conv", r"._se._se_\1._conv"),
            (r"\.fused\.conv", "._expand_conv._conv"),
            (r"\.(expand|depthwise|project)\.conv", r"._\1_conv._conv"),
            (r"\.(fused|expand)\.bn", "._norm0"),
            (r"\.depthwise\.bn", "._norm1"),
            (r"\.project\.bn", "._norm2"),
            (r"^stage(\d)\.(\d+)\.", block_number("_blocks.")),
            (r"^head\.conv\.conv", "_head._conv_head"),
            (r"^head\.conv\.bn", "_head._norm"),
            (r"^head\.fc", "_fc"),
        ],
        models=same_names([f"EfficientNetV2_{size.upper()}" for size in _SIZES]),
    ),
    "torchvision": Naming(
        rules=TORCHVISION,
        models={
            f"efficientnet_v2_{size}": row(f"EfficientNetV2_{size.upper()}_tv") for size in _SIZES
        },
    ),
    "timm": Naming(
        rules=[
            (r"^(stage1\.\d+)\.fused\.conv", r"\1.conv"),
            (r"^(stage[23]\.\d+)\.project\.bn", r"\1.bn2"),
            (r"\.fused\.conv", ".conv_exp"),
            (r"\.fused\.bn", ".bn1"),
            *TIMM,
        ],
        models={
            **{
                f"tf_efficientnetv2_{size}": row(f"EfficientNetV2_{size.upper()}", padding="same")
                for size in (*_SIZES, "b0", "b1", "b2", "b3")
            },
            "tf_efficientnetv2_xl": row(
                "EfficientNetV2_L", size="XL", resolution=512, padding="same"
            ),
            **{
                f"efficientnetv2_{size}": row(f"EfficientNetV2_{size.upper()}_tv", eps=1e-5)
                for size in _SIZES
            },
        },
    ),
}
