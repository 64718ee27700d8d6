"""EfficientNet and EfficientNet-Lite elsewhere."""

from __future__ import annotations

from typing import Dict

from ppcls.weights.naming import TORCH_STATISTICS, Naming, block_number, minus_one, row

FAMILY = "EfficientNet"

_STAGES = [f"stage{number}" for number in range(1, 8)]
_SCALES = range(8)

NAMINGS: Dict[str, Naming] = {
    "timm": Naming(
        rules=[
            (r"^stem\.conv", "conv_stem"),
            (r"^stem\.bn", "bn1"),
            (r"^stage1\.(\d+)\.depthwise\.bn", r"stage1.\1.bn1"),
            (r"^stage1\.(\d+)\.project\.conv", r"stage1.\1.conv_pw"),
            (r"^stage1\.(\d+)\.project\.bn", r"stage1.\1.bn2"),
            (r"\.se\.(reduce|expand)\.conv", r".se.conv_\1"),
            (r"\.expand\.conv", ".conv_pw"),
            (r"\.expand\.bn", ".bn1"),
            (r"\.depthwise\.conv", ".conv_dw"),
            (r"\.depthwise\.bn", ".bn2"),
            (r"\.project\.conv", ".conv_pwl"),
            (r"\.project\.bn", ".bn3"),
            (r"^(stage)(\d)(\.)", minus_one),
            (r"^stage", "blocks."),
            (r"^head\.conv\.conv", "conv_head"),
            (r"^head\.conv\.bn", "bn2"),
            (r"^head\.fc", "classifier"),
            *TORCH_STATISTICS,
        ],
        models={f"tf_efficientnet_lite{i}": row(f"EfficientNetLite{i}") for i in range(5)},
    ),
    "efficientnet_pytorch": Naming(
        rules=[
            (r"^stem\.conv", "_conv_stem"),
            (r"^stem\.bn", "_bn0"),
            (r"^stage(\d)\.(\d+)\.", block_number("_blocks.", _STAGES)),
            (r"\.se\.(reduce|expand)\.conv", r"._se_\1"),
            (r"\.(expand|depthwise|project)\.conv", r"._\1_conv"),
            (r"\.expand\.bn", "._bn0"),
            (r"\.depthwise\.bn", "._bn1"),
            (r"\.project\.bn", "._bn2"),
            (r"^head\.conv\.conv", "_conv_head"),
            (r"^head\.conv\.bn", "_bn1"),
            (r"^head\.fc", "_fc"),
            *TORCH_STATISTICS,
        ],
        models={f"efficientnet-lite{i}": row(f"EfficientNetLite{i}") for i in range(5)},
    ),
}
