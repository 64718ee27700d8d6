"""Parameter names of VGG in other toolkits."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.names.rules import TORCH_STATISTICS, Naming, Rules, row, same_names

FAMILY = "VGG"


def _position(match: re.Match[str], network: Any) -> str:
    """Count layers as torchvision does: convolution, (normalisation), activation, and poolings."""
    each = 3 if hasattr(network.stage1.conv1, "bn") else 2
    stages = network.stages[: network.stages.index(f"stage{match[1]}")]
    layers = sum(each * (len(getattr(network, stage)) - 1) + 1 for stage in stages)
    return f"features.{layers + each * (int(match[2]) - 1) + (match[3] == 'bn')}."


_TORCH: Rules = [
    (r"^stage(\d)\.conv(\d)\.(conv|bn)\.", _position),
    *TORCH_STATISTICS,
]
_MODELS = {
    **{f"vgg{depth}": row(f"VGG{depth}_tv") for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}_bn": row(f"VGG{depth}_bn") for depth in (11, 13, 16, 19)},
}

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stage(\d)\.(conv\d)\.conv", r"conv_block_\1.\2"),
            (r"^head\.", ""),
        ],
        models=same_names(["VGG11", "VGG13", "VGG16", "VGG19"]),
    ),
    "torchvision": Naming(
        rules=[
            *_TORCH,
            (r"^head\.fc1", "classifier.0"),
            (r"^head\.fc2", "classifier.3"),
            (r"^head\.fc3", "classifier.6"),
        ],
        models=_MODELS,
    ),
    "timm": Naming(
        rules=[
            *_TORCH,
            (r"^head\.(fc[12])", r"pre_logits.\1"),
            (r"^head\.fc3", "head.fc"),
        ],
        models=_MODELS,
    ),
}
