"""Parameter names of MobileNetV1 in other toolkits."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.names.rules import TORCH_STATISTICS, Naming, block_number, row, same_names

FAMILY = "MobileNetV1"

_STAGES = ["stage1", "stage2", "stage3", "stage4", "stage5"]


def _timm_stage(match: re.Match[str], network: Any) -> str:
    return f"blocks.{int(match[1]) - 1}."


NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.", "conv."),
            (r"^stage(\d)\.(\d+)\.", block_number("blocks.", _STAGES)),
            (r"\.(depthwise|pointwise)\.", r".\1_conv."),
            (r"^head\.fc", "fc"),
        ],
        models=same_names(
            ["MobileNetV1_x0_25", "MobileNetV1_x0_5", "MobileNetV1_x0_75", "MobileNetV1"]
        ),
    ),
    "timm": Naming(
        rules=[
            (r"^stem\.conv", "conv_stem"),
            (r"^stem\.bn", "bn1"),
            (r"^stage(\d)\.", _timm_stage),
            (r"\.depthwise\.conv", ".conv_dw"),
            (r"\.depthwise\.bn", ".bn1"),
            (r"\.pointwise\.conv", ".conv_pw"),
            (r"\.pointwise\.bn", ".bn2"),
            (r"^head\.conv\.conv", "conv_head"),
            (r"^head\.conv\.bn", "bn2"),
            (r"^head\.fc", "classifier"),
            *TORCH_STATISTICS,
        ],
        models={
            "mobilenetv1_100": row("MobileNetV1_timm"),
            "mobilenetv1_125": row("MobileNetV1_x1_25_timm"),
            "mobilenetv1_100h": row("MobileNetV1_h_timm"),
        },
    ),
}
