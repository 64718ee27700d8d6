"""Parameter names of MobileNetV3 in other toolkits."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.names.families.mobilenet_v2 import TIMM_BLOCKS
from ppcls.weights.names.rules import TORCH_STATISTICS, Naming, block_number, row, same_names

FAMILY = "MobileNetV3"

_SCALES = ("x0_35", "x0_5", "x0_75", "x1_0", "x1_25")


def _torchvision_layer(match: re.Match[str], network: Any) -> str:
    """Count the layers of a block that there are: expand, depthwise, se, project."""
    block = getattr(network, f"stage{match[1]}")[int(match[2])]
    names = ["expand", "depthwise", "se", "project"]
    there = [name for name in names if getattr(block, name).state_dict()]
    return f"stage{match[1]}.{match[2]}.block.{there.index(match[3])}."


def _torchvision_last(match: re.Match[str], network: Any) -> str:
    blocks = sum(len(getattr(network, name)) for name in network.stages[1:])
    return f"features.{1 + blocks}."


def _timm_last(match: re.Match[str], network: Any) -> str:
    return f"blocks.{len(network.stages) - 1}.{int(match[1]) - 1}."


NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.", "conv."),
            (r"\.se\.reduce\.conv", ".mid_se.conv1"),
            (r"\.se\.expand\.conv", ".mid_se.conv2"),
            (r"\.depthwise\.", ".bottleneck_conv."),
            (r"\.expand\.", ".expand_conv."),
            (r"\.project\.", ".linear_conv."),
            (r"^stage(\d)\.(\d+)\.", block_number("blocks.")),
            (r"^head\.conv1\.", "last_second_conv."),
            (r"^head\.hidden\.conv", "last_conv"),
            (r"^head\.fc", "fc"),
        ],
        models=same_names(
            [f"MobileNetV3_{size}_{scale}" for size in ("large", "small") for scale in _SCALES]
        ),
    ),
    "torchvision": Naming(
        rules=[
            (r"^stem\.", "features.0."),
            (r"\.se\.reduce\.conv", ".se.fc1"),
            (r"\.se\.expand\.conv", ".se.fc2"),
            (r"^stage(\d)\.(\d+)\.(expand|depthwise|se|project)\.", _torchvision_layer),
            (r"^stage(\d)\.(\d+)\.", block_number("features.", first=1)),
            (r"\.conv\.block", ".block"),
            (r"^head\.conv1\.", _torchvision_last),
            (r"^head\.hidden\.conv", "classifier.0"),
            (r"^head\.fc", "classifier.3"),
            (r"\.conv\.weight$", ".0.weight"),
            (r"\.bn\.", ".1."),
            *TORCH_STATISTICS,
        ],
        models={
            "mobilenet_v3_large": row("MobileNetV3_large_x1_0_tv"),
            "mobilenet_v3_small": row("MobileNetV3_small_x1_0_tv"),
        },
    ),
    "timm": Naming(
        rules=[
            (r"^stem\.conv", "conv_stem"),
            (r"^stem\.bn", "bn1"),
            (r"\.se\.(reduce|expand)\.conv", r".se.conv_\1"),
            *TIMM_BLOCKS,
            (r"^head\.conv(\d)\.", _timm_last),
            (r"^(blocks\.\d\.\d\.)bn\.", r"\1bn1."),
            (r"^head\.hidden\.conv", "conv_head"),
            (r"^head\.fc", "classifier"),
            *TORCH_STATISTICS,
        ],
        models={
            "mobilenetv3_large_075": row("MobileNetV3_large_x0_75_timm"),
            "mobilenetv3_large_100": row("MobileNetV3_large_x1_0_timm"),
            "mobilenetv3_large_150d": row("MobileNetV3_large_x1_5_deep_timm"),
            "mobilenetv3_rw": row("MobileNetV3_large_rw_timm"),
            "mobilenetv3_small_050": row("MobileNetV3_small_x0_5_timm"),
            "mobilenetv3_small_075": row("MobileNetV3_small_x0_75_timm"),
            "mobilenetv3_small_100": row("MobileNetV3_small_x1_0_timm"),
            "tf_mobilenetv3_large_075": row("MobileNetV3_large_x0_75_tf"),
            "tf_mobilenetv3_large_100": row("MobileNetV3_large_x1_0_tf"),
            "tf_mobilenetv3_large_minimal_100": row("MobileNetV3_large_minimal_tf"),
            "tf_mobilenetv3_small_075": row("MobileNetV3_small_x0_75_tf"),
            "tf_mobilenetv3_small_100": row("MobileNetV3_small_x1_0_tf"),
            "tf_mobilenetv3_small_minimal_100": row("MobileNetV3_small_minimal_tf"),
        },
    ),
}
