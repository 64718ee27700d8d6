"""Parameter names of Inception v3 in other toolkits."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.names.rules import TORCH_STATISTICS, Naming, Rules, row, same_names

FAMILY = "InceptionV3"

# Which kernel each of our branches has there: in a module, in mixed_7a.
_BRANCHES: Rules = [
    (r"\.one\.conv1\.", ".branch1x1."),
    (r"\.five\.conv(\d)\.", r".branch5x5_\1."),
    (r"(mixed_7a)\.seven\.conv(\d)\.", r"\1.branch7x7x3_\2."),
    (r"(mixed_7a)\.three\.conv(\d)\.", r"\1.branch3x3_\2."),
    (r"(mixed_6a)\.three\.conv1\.", r"\1.branch3x3."),
    (r"(mixed_6[b-e])\.long\.conv(\d)\.", r"\1.branch7x7dbl_\2."),
    (r"\.seven\.conv(\d)\.", r".branch7x7_\1."),
    (r"\.long\.(?:0\.)?conv(\d)\.", r".branch3x3dbl_\1."),
    (r"\.long\.1\.row\.", ".branch3x3dbl_3a."),
    (r"\.long\.1\.column\.", ".branch3x3dbl_3b."),
    (r"\.three\.0\.conv1\.", ".branch3x3_1."),
    (r"\.three\.1\.row\.", ".branch3x3_2a."),
    (r"\.three\.1\.column\.", ".branch3x3_2b."),
]
_TORCH: Rules = [
    *_BRANCHES,
    (r"\.pool\.conv1\.", ".branch_pool."),
    (r"^mixed", "Mixed"),
    (r"^conv_([^3]\w)\.", r"Conv2d_\1_3x3."),
    (r"^conv_3b\.", "Conv2d_3b_1x1."),
    (r"^aux\.", "AuxLogits."),
    (r"^head\.fc", "fc"),
    *TORCH_STATISTICS,
]


def _block(match: re.Match[str], network: Any) -> str:
    mixed = [stage for stage in network.stages if stage.startswith("mixed")]
    return f"inception_block_list.{mixed.index(match[0])}"


NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            *_BRANCHES,
            (r"\.pool\.conv1\.", ".branch_pool_conv."),
            (r"^mixed_\w\w", _block),
            (r"^conv_([^3]\w)\.", r"inception_stem.conv_\1_3x3."),
            (r"^conv_3b\.", "inception_stem.conv_3b_1x1."),
            (r"^head\.fc", "fc"),
        ],
        models=same_names(["InceptionV3"]),
    ),
    "torchvision": Naming(
        rules=_TORCH,
        models={"inception_v3": row("InceptionV3_tv")},
        auxiliary=r"AuxLogits\.",
    ),
    "timm": Naming(
        rules=_TORCH,
        models={"inception_v3": row("InceptionV3_tv", dropout=0.0)},
        auxiliary=r"AuxLogits\.",
    ),
}
