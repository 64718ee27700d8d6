"""Parameter names of MobileNetV2 in other toolkits."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.names.rules import (
    TIMM_ENDS,
    TORCH_STATISTICS,
    Naming,
    Rules,
    block_number,
    minus_one,
    row,
    same_names,
)

FAMILY = "MobileNetV2"

_SCALES = ["MobileNetV2_x0_25", "MobileNetV2_x0_5", "MobileNetV2_x0_75"]
_SCALES += ["MobileNetV2", "MobileNetV2_x1_5", "MobileNetV2_x2_0"]


def _paddleclas_block(match: re.Match[str], network: Any) -> str:
    stage, block = int(match[1]) + 1, int(match[2])
    return f"conv{stage}." + (f"conv{stage}_{block + 1}." if block else "_first_block.")


TIMM_BLOCKS: Rules = [
    (r"^stage1\.(\d+)\.depthwise\.bn", r"stage1.\1.bn1"),
    (r"^stage1\.(\d+)\.project\.conv", r"stage1.\1.conv_pw"),
    (r"^stage1\.(\d+)\.project\.bn", r"stage1.\1.bn2"),
    (r"\.expand\.conv", ".conv_pw"),
    (r"\.expand\.bn", ".bn1"),
    (r"\.depthwise\.conv", ".conv_dw"),
    (r"\.depthwise\.bn", ".bn2"),
    (r"\.project\.conv", ".conv_pwl"),
    (r"\.project\.bn", ".bn3"),
    (r"^(stage)(\d)(\.)", minus_one),
    (r"^stage", "blocks."),
]
"""What timm calls the layers of inverted residuals, where the first stage's have no expansion."""

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.", "conv1."),
            (r"^stage(\d)\.(\d+)\.", _paddleclas_block),
            (r"\.depthwise\.", "._bottleneck_conv."),
            (r"\.expand\.", "._expand_conv."),
            (r"\.project\.", "._linear_conv."),
            (r"^head\.conv\.", "conv9."),
            (r"\.conv\.(weight)$", r"._conv.\1"),
            (r"\.bn\.", "._batch_norm."),
            (r"^head\.fc", "out"),
        ],
        models=same_names(_SCALES),
    ),
    "torchvision": Naming(
        rules=[
            (r"^stem\.", "features.0."),
            (r"^stage1\.(\d+)\.depthwise\.", r"stage1.\1.conv.0."),
            (r"^stage1\.(\d+)\.project\.conv", r"stage1.\1.conv.1"),
            (r"^stage1\.(\d+)\.project\.bn", r"stage1.\1.conv.2"),
            (r"\.expand\.", ".conv.0."),
            (r"\.depthwise\.", ".conv.1."),
            (r"\.project\.conv", ".conv.2"),
            (r"\.project\.bn", ".conv.3"),
            (r"^stage(\d)\.(\d+)\.", block_number("features.", first=1)),
            (r"^head\.conv\.", "features.18."),
            (r"^head\.fc", "classifier.1"),
            (r"\.conv\.weight$", ".0.weight"),
            (r"\.bn\.", ".1."),
            *TORCH_STATISTICS,
        ],
        models={"mobilenet_v2": row("MobileNetV2_tv")},
    ),
    "timm": Naming(
        rules=[
            *TIMM_BLOCKS,
            *TIMM_ENDS,
        ],
        models={
            "mobilenetv2_035": row("MobileNetV2_x0_35_tv"),
            "mobilenetv2_050": row("MobileNetV2_x0_5_tv"),
            "mobilenetv2_075": row("MobileNetV2_x0_75_tv"),
            "mobilenetv2_100": row("MobileNetV2_tv"),
            "mobilenetv2_140": row("MobileNetV2_x1_4_tv"),
            "mobilenetv2_110d": row("MobileNetV2_x1_1_deep_timm"),
            "mobilenetv2_120d": row("MobileNetV2_x1_2_deep_timm"),
        },
    ),
}
