"""Parameter names of MobileNetV1 in other toolkits."""

from __future__ import annotations

from typing import Dict

from ppcls.weights.names.rules import TIMM_ENDS, Naming, block_number, minus_one, row, same_names

FAMILY = "MobileNetV1"

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.", "conv."),
            (r"^stage(\d)\.(\d+)\.", block_number("blocks.")),
            (r"\.(depthwise|pointwise)\.", r".\1_conv."),
            (r"^head\.fc", "fc"),
        ],
        models=same_names(
            ["MobileNetV1_x0_25", "MobileNetV1_x0_5", "MobileNetV1_x0_75", "MobileNetV1"]
        ),
    ),
    "timm": Naming(
        rules=[
            (r"^(stage)(\d)(\.)", minus_one),
            (r"^stage", "blocks."),
            (r"\.depthwise\.conv", ".conv_dw"),
            (r"\.depthwise\.bn", ".bn1"),
            (r"\.pointwise\.conv", ".conv_pw"),
            (r"\.pointwise\.bn", ".bn2"),
            *TIMM_ENDS,
        ],
        models={
            "mobilenetv1_100": row("MobileNetV1_timm"),
            "mobilenetv1_125": row("MobileNetV1_x1_25_timm"),
            "mobilenetv1_100h": row("MobileNetV1_h_timm"),
        },
    ),
}
