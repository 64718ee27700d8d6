"""Parameter names of ResNet and its relatives in other toolkits."""

from __future__ import annotations

from typing import Dict

from ppcls.weights.names.rules import (
    TORCH_STATISTICS,
    Naming,
    Rules,
    block_number,
    minus_one,
    row,
    same_names,
)

FAMILY = "ResNet"

TORCH: Rules = [
    (r"^stem\.conv\.", "conv1."),
    (r"^stem\.bn\.", "bn1."),
    (r"^stem\.0\.conv\.", "conv1.0."),
    (r"^stem\.0\.bn\.", "conv1.1."),
    (r"^stem\.1\.conv\.", "conv1.3."),
    (r"^stem\.1\.bn\.", "conv1.4."),
    (r"^stem\.2\.conv\.", "conv1.6."),
    (r"^stem\.2\.bn\.", "bn1."),
    (r"^stage", "layer"),
    (r"\.conv(\d)\.conv\.", r".conv\1."),
    (r"\.conv(\d)\.bn\.", r".bn\1."),
    (r"\.shortcut\.conv\.conv\.", ".downsample.1."),
    (r"\.shortcut\.conv\.bn\.", ".downsample.2."),
    (r"\.shortcut\.conv\.", ".downsample.0."),
    (r"\.shortcut\.bn\.", ".downsample.1."),
    (r"^head\.fc", "fc"),
    *TORCH_STATISTICS,
]
"""PyTorch's names, of torchvision and timm alike, for ResNeXt too."""

_TORCHVISION = {
    "resnet18": row("ResNet18_tv"),
    "resnet34": row("ResNet34_tv"),
    "resnet50": row("ResNet50"),
    "resnet101": row("ResNet101"),
    "resnet152": row("ResNet152"),
    "wide_resnet50_2": row("WideResNet50_2"),
    "wide_resnet101_2": row("WideResNet101_2"),
}
_TIMM = {
    **_TORCHVISION,
    "resnet18d": row("ResNet18_vd", first_projection=False),
    "resnet34d": row("ResNet34_vd", first_projection=False),
    **{f"resnet{depth}d": row(f"ResNet{depth}_vd") for depth in (50, 101, 152)},
    **{f"resnet{depth}c": row(f"ResNet{depth}", stem="deep") for depth in (50, 101, 152)},
    "resnet26": row("ResNet50", depths=[2, 2, 2, 2]),
    "resnet26d": row("ResNet50_vd", depths=[2, 2, 2, 2]),
    "resnet200": row("ResNet152", depths=[3, 24, 36, 3]),
    "resnet200d": row("ResNet200_vd", depths=[3, 24, 36, 3]),
}
_PADDLECLAS = [
    *(f"ResNet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"ResNet{depth}_vd" for depth in (18, 34, 50, 101, 152, 200)),
]

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.(conv|bn)\.", r"stem.0.\1."),
            (r"^stage(\d)\.(\d+)\.", block_number("blocks.")),
            (r"(\.conv)(\d)(\.)", minus_one),
            (r"\.shortcut\.(?:conv\.)?(conv|bn)\.", r".short.\1."),
            (r"^head\.fc", "fc"),
        ],
        models=same_names(_PADDLECLAS),
    ),
    "torchvision": Naming(rules=TORCH, models=_TORCHVISION),
    "timm": Naming(rules=TORCH, models=_TIMM),
}
