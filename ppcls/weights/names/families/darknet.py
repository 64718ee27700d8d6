"""Parameter names of DarkNet in other toolkits."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.names.rules import TORCH_STATISTICS, Naming, row, same_names

FAMILY = "DarkNet"


def _paddleclas(match: re.Match[str], network: Any) -> str:
    """Count stages, but not their blocks, from zero; the first one's convolution is _conv2."""
    stage = int(match[1]) - 1
    if match[2]:
        return f"_basic_block_{stage}{match[2]}."
    return "_conv2." if stage == 0 else f"_downsample_{stage - 1}."


def _timm(match: re.Match[str], network: Any) -> str:
    """Count stages and their blocks from zero."""
    layer = f"blocks.{int(match[2]) - 1}" if match[2] else "conv_down"
    return f"stages.{int(match[1]) - 1}.{layer}."


_LAYER = r"^stage(\d)\.(?:down|block(\d+))\."
"""The convolution that starts a stage, or one of its blocks."""

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stem\.", "_conv1."),
            (_LAYER, _paddleclas),
            (r"\.(conv\d)\.", r"._\1."),
            (r"\.conv\.", "._conv."),
            (r"\.bn\.", "._bn."),
            (r"^head\.fc", "_out"),
        ],
        models=same_names(["DarkNet53"]),
    ),
    "timm": Naming(
        rules=[
            (r"^stem\.", "stem.conv1."),
            (_LAYER, _timm),
            *TORCH_STATISTICS,
        ],
        models={
            "darknet53": row("DarkNet53_timm"),
            "darknet21": row("DarkNet53_timm", depths=[1, 1, 1, 2, 2]),
        },
    ),
}
