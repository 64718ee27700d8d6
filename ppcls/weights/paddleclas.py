"""How PaddleClas' published checkpoints name the parameters of our networks, by family."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.rules import Rules


def _flat_block(match: re.Match[str], network: Any) -> str:
    """Number the blocks of all stages through: stage2.0 of ResNet50 is blocks.3."""
    stage, block = int(match[1]), int(match[2])
    return f"blocks.{sum(len(getattr(network, f'stage{n}')) for n in range(1, stage)) + block}."


def _one_less(match: re.Match[str], network: Any) -> str:
    """Count from zero what the paper counts from one: conv1 is conv0."""
    return f"{match[1]}{int(match[2]) - 1}{match[3]}"


RULES: Dict[str, Rules] = {
    "AlexNet": [
        (r"^stage\d\.conv([34])\.conv", r"_conv\1"),
        (r"^stage\d\.conv(\d)\.conv", r"_conv\1._conv"),
        (r"^head\.fc", "_fc"),
    ],
    "VGG": [
        (r"^stage(\d)\.(conv\d)\.conv", r"conv_block_\1.\2"),
        (r"^head\.", ""),
    ],
    "SqueezeNet": [
        (r"^stem\.conv", "_conv"),
        (r"^stage\d\.(fire)(\d)(\.)", _one_less),
        (r"^fire(\d)\.", r"_conv\1."),
        (r"\.squeeze\.conv", "._conv._conv"),
        (r"\.expand1x1\.conv", "._conv_path1._conv"),
        (r"\.expand3x3\.conv", "._conv_path2._conv"),
        (r"^head\.conv10\.conv", "_conv9"),
    ],
    "ResNet": [
        (r"^stem\.", "stem.0."),
        (r"^stage(\d)\.(\d+)\.", _flat_block),
        (r"(\.conv)(\d)(\.)", _one_less),
        (r"\.shortcut\.", ".short."),
        (r"^head\.fc", "fc"),
    ],
}
