"""ResNet and its relatives elsewhere."""

from __future__ import annotations

from typing import Dict

from ppcls.weights.naming import TORCH_STATISTICS, Naming, block_number, minus_one, row

FAMILY = "ResNet"

_TORCH = [
    (r"^stem\.conv\.", "conv1."),
    (r"^stem\.bn\.", "bn1."),
    (r"^stage", "layer"),
    (r"\.conv(\d)\.conv\.", r".conv\1."),
    (r"\.conv(\d)\.bn\.", r".bn\1."),
    (r"\.shortcut\.conv\.", ".downsample.0."),
    (r"\.shortcut\.bn\.", ".downsample.1."),
    (r"^head\.fc", "fc"),
    *TORCH_STATISTICS,
]
_MODELS = {
    "resnet18": row("ResNet18_tv"),
    "resnet34": row("ResNet34_tv"),
    "resnet50": row("ResNet50"),
    "resnet101": row("ResNet101"),
    "resnet152": row("ResNet152"),
}

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.", "stem.0."),
            (
                r"^stage(\d)\.(\d+)\.",
                block_number("blocks.", ["stage1", "stage2", "stage3", "stage4"]),
            ),
            (r"(\.conv)(\d)(\.)", minus_one),
            (r"\.shortcut\.", ".short."),
            (r"^head\.fc", "fc"),
        ]
    ),
    "torchvision": Naming(rules=_TORCH, models=_MODELS),
    "timm": Naming(rules=_TORCH, models=_MODELS),
}
