"""Parameter names of EfficientNet and EfficientNet-Lite in other toolkits."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.names.families.mobilenet_v2 import TIMM_BLOCKS
from ppcls.weights.names.rules import (
    TIMM_ENDS,
    TORCH_STATISTICS,
    Naming,
    Rules,
    block_number,
    row,
    same_names,
)

FAMILY = "EfficientNet"

_PYTORCH = {"eps": 1e-5, "momentum": 0.9}
"""The normalisation of the networks that timm trained itself, rather than took over."""


def _layer(match: re.Match[str], network: Any) -> str:
    """Number a block's layers as torchvision does: those that it has, from zero."""
    block = getattr(network, f"stage{match[1]}")[int(match[2])]
    layers = [name for name, layer in block.named_children() if list(layer.parameters())]
    return f"features.{match[1]}.{match[2]}.block.{layers.index(match[3])}"


def _head(match: re.Match[str], network: Any) -> str:
    """The convolution of the head comes after all stages."""
    return f"features.{len(network.stages)}."


TORCHVISION: Rules = [
    (r"^stem\.", "features.0."),
    (r"^stage(\d)\.(\d+)\.(expand|depthwise|se|project|fused)", _layer),
    (r"\.reduce\.conv", ".fc1"),
    (r"\.expand\.conv", ".fc2"),
    (r"^(head)\.conv\.", _head),
    (r"\.conv\.", ".0."),
    (r"\.bn\.", ".1."),
    (r"^head\.fc", "classifier.1"),
    *TORCH_STATISTICS,
]
"""Torchvision's names, of EfficientNetV2 too."""

TIMM: Rules = [
    (r"\.se\.(reduce|expand)\.conv", r".se.conv_\1"),
    *TIMM_BLOCKS,
    *TIMM_ENDS,
]
"""Timm's names, of EfficientNetV2 too."""

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.", "_ef._conv_stem._conv."),
            # The first block of each stage has another name; all are numbered through.
            (r"^stage(\d)\.(0)\.", block_number("_ef._blocks.")),
            (r"^stage(\d)\.(\d+)\.", block_number("_ef.block.")),
            (r"^(_ef\.(_blocks|block)\.\d+)\.", r"\1.."),
            (r"\.se\.reduce\.conv", "._se._conv1._conv"),
            (r"\.se\.expand\.conv", "._se._conv2._conv"),
            (r"\.expand\.(conv|bn)", r"._ecn._conv.\1"),
            (r"\.depthwise\.", "._dcn._conv."),
            (r"\.project\.", "._pcn._conv."),
            (r"^head\.conv\.", "_conv."),
            (r"\.conv\.weight$", "._conv._conv.weight"),
            (r"\.bn\.", "._bn."),
            (r"^head\.fc", "_fc"),
        ],
        models=same_names([f"EfficientNetB{i}" for i in range(8)] + ["EfficientNetB0_small"]),
    ),
    "torchvision": Naming(
        rules=TORCHVISION,
        models={f"efficientnet_b{i}": row(f"EfficientNetB{i}_tv") for i in range(8)},
    ),
    "timm": Naming(
        rules=TIMM,
        models={
            **{f"tf_efficientnet_b{i}": row(f"EfficientNetB{i}", padding="same") for i in range(8)},
            "tf_efficientnet_b8": row(
                "EfficientNetB7", width=2.2, depth=3.6, resolution=672, padding="same"
            ),
            "tf_efficientnet_l2": row(
                "EfficientNetB7", width=4.3, depth=5.3, resolution=800, padding="same"
            ),
            **{f"efficientnet_b{i}": row(f"EfficientNetB{i}_tv", **_PYTORCH) for i in range(8)},
            **{f"tf_efficientnet_lite{i}": row(f"EfficientNetLite{i}") for i in range(5)},
            **{
                f"efficientnet_lite{i}": row(
                    f"EfficientNetLite{i}", padding="symmetric", **_PYTORCH
                )
                for i in range(5)
            },
        },
    ),
    "efficientnet_pytorch": Naming(
        rules=[
            (r"^stem\.conv", "_conv_stem"),
            (r"^stem\.bn", "_bn0"),
            (r"^stage(\d)\.(\d+)\.", block_number("_blocks.")),
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
        models={
            **{f"efficientnet-b{i}": row(f"EfficientNetB{i}", padding="same") for i in range(8)},
            **{f"efficientnet-lite{i}": row(f"EfficientNetLite{i}") for i in range(5)},
        },
    ),
}
