"""Parameter names of DenseNet in other toolkits."""

from __future__ import annotations

import re
from typing import Any, Dict, Tuple

from ppcls.weights.names.rules import TORCH_STATISTICS, Naming, Rules, row, same_names

FAMILY = "DenseNet"


def _one_more(match: re.Match[str], network: Any) -> str:
    """Count as PaddleClas does, to whom the stem is the first stage."""
    number = int(match[2]) + 1
    return f"db_conv_{number}.conv{number}_" if match[1] == "stage" else f"tr_conv{number}_blk."


_TORCH: Rules = [
    (r"^stem\.(conv|bn)\.", r"features.\g<1>0."),
    (r"^(stage)(\d)\.layer", r"features.denseblock\2.denselayer"),
    (r"^transition", "features.transition"),
    (r"\.bottleneck\.(conv|bn)\.", r".\g<1>1."),
    (r"\.grow\.(conv|bn)\.", r".\g<1>2."),
    (r"\.squeeze\.", "."),
    (r"^norm\.bn\.", "features.bn5."),
    (r"\.bn(\d?)\.", r".norm\1."),
    (r"^head\.fc", "classifier"),
    *TORCH_STATISTICS,
]
_MODELS = {f"densenet{depth}": row(f"DenseNet{depth}") for depth in (121, 161, 169, 201)}
# In the files that torchvision published, a dense layer's sub-layers are called norm.1 and so on.
_OLDER: Tuple[Tuple[str, str], ...] = ((r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),)

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.", "conv1_func."),
            (r"^(stage)(\d)\.layer", _one_more),
            (r"^(transition)(\d)\.", _one_more),
            (r"\.bottleneck\.", ".bn_ac_func1."),
            (r"\.grow\.", ".bn_ac_func2."),
            (r"\.squeeze\.", ".conv_ac_func."),
            (r"^norm\.bn\.", "batch_norm."),
            (r"\.conv\.", "._conv."),
            (r"\.bn\.", "._batch_norm."),
            (r"^head\.fc", "out"),
        ],
        models=same_names([f"DenseNet{depth}" for depth in (121, 161, 169, 201, 264)]),
    ),
    "torchvision": Naming(rules=_TORCH, models=_MODELS, older=_OLDER),
    "timm": Naming(rules=_TORCH, models=_MODELS, older=_OLDER),
}
