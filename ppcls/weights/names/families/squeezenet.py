"""Parameter names of SqueezeNet in other toolkits."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.names.rules import Naming, minus_one, row, same_names

FAMILY = "SqueezeNet"


def _position(match: re.Match[str], network: Any) -> str:
    """Count layers as torchvision does: the stem is two, then poolings and fires are one each."""
    stage, fire = f"stage{match[1]}", f"fire{match[2]}"
    before = network.stages[1 : network.stages.index(stage)]
    number = 2 + sum(len(getattr(network, name)) for name in before)
    return f"features.{number + list(getattr(network, stage)._sub_layers).index(fire)}."


NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.conv", "_conv"),
            (r"^stage\d\.(fire)(\d)(\.)", minus_one),
            (r"^fire(\d)\.", r"_conv\1."),
            (r"\.squeeze\.conv", "._conv._conv"),
            (r"\.expand1x1\.conv", "._conv_path1._conv"),
            (r"\.expand3x3\.conv", "._conv_path2._conv"),
            (r"^head\.conv10\.conv", "_conv9"),
        ],
        models=same_names(["SqueezeNet1_0", "SqueezeNet1_1"]),
    ),
    "torchvision": Naming(
        rules=[
            (r"^stem\.conv", "features.0"),
            (r"^stage(\d)\.fire(\d)\.", _position),
            (r"\.(squeeze|expand\dx\d)\.conv", r".\1"),
            (r"^head\.conv10\.conv", "classifier.1"),
        ],
        models={
            "squeezenet1_0": row("SqueezeNet1_0_tv"),
            "squeezenet1_1": row("SqueezeNet1_1_tv"),
        },
    ),
}
