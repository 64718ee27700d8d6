"""Parameter names of Inception v4 in other toolkits."""

from __future__ import annotations

import re
from typing import Any, Dict

from ppcls.weights.names.rules import TORCH_STATISTICS, Naming, minus_one, row, same_names

FAMILY = "InceptionV4"


def _position(match: re.Match[str], network: Any) -> str:
    return f"features.{network.stages.index(match[1])}."


NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"\.conv\.(weight)", r"._conv.\1"),
            (r"\.bn\.", "._batch_norm."),
            (r"^conv(\d)", r"_inception_stem._conv_\1"),
            (r"^stem1\.conv", "_inception_stem._conv2"),
            (r"^stem2\.short\.conv(\d)", r"_inception_stem._conv1_\1"),
            (r"^stem2\.long\.conv(\d)", r"_inception_stem._conv2_\1"),
            (r"^stem3\.conv", "_inception_stem._conv3"),
            (r"^reduction_a\.short\.conv1", "_reductionA._conv2"),
            (r"^reduction_b\.short\.conv(\d)", r"_reductionB._conv2_\1"),
            (r"^reduction_a\.long\.conv(\d)", r"_reductionA._conv3_\1"),
            (r"^reduction_b\.long\.conv(\d)", r"_reductionB._conv3_\1"),
            (r"^a(\d)", r"_inceptionA_\1"),
            (r"^b(\d)", r"_inceptionB_\1"),
            (r"^c(\d)", r"_inceptionC_\1"),
            (r"\.pool\.conv1", "._conv1"),
            (r"\.one\.conv1", "._conv2"),
            (r"\.short\.conv(\d)", r"._conv3_\1"),
            (r"\.long\.conv(\d)", r"._conv4_\1"),
            (r"\.short\.0\.conv1", "._conv3_0"),
            (r"\.long\.0\.conv(\d)", lambda match, network: f"._conv4_{'0' * int(match[1])}"),
            (r"\.short\.1\.row", "._conv3_1"),
            (r"\.short\.1\.column", "._conv3_2"),
            (r"\.long\.1\.row", "._conv4_1"),
            (r"\.long\.1\.column", "._conv4_2"),
            (r"^head\.fc", "out"),
        ],
        models=same_names(["InceptionV4"]),
    ),
    "timm": Naming(
        rules=[
            (r"^(reduction_a)\.short\.conv1", r"\1.branch0"),
            (r"^(stem2|reduction_.)\.short\.(conv)(\d)\.", r"\1.branch0.\2\3."),
            (r"^(stem2|reduction_.)\.long\.(conv)(\d)\.", r"\1.branch1.\2\3."),
            (r"\.one\.conv1", ".branch0"),
            (r"\.short\.(conv\d)", r".branch1.\1"),
            (r"\.long\.(conv\d)", r".branch2.\1"),
            (r"\.pool\.conv1", ".branch3.1"),
            (r"\.short\.0\.(conv\d)", r".branch1_\1"),
            (r"\.short\.1\.row", ".branch1_1a"),
            (r"\.short\.1\.column", ".branch1_1b"),
            (r"\.long\.0\.(conv\d)", r".branch2_\1"),
            (r"\.long\.1\.row", ".branch2_3a"),
            (r"\.long\.1\.column", ".branch2_3b"),
            (r"(branch\d[._])conv(\d)(\.)", minus_one),
            (r"^head\.fc", "last_linear"),
            (r"^(\w+)\.(?!weight|bias)", _position),
            *TORCH_STATISTICS,
        ],
        models={"inception_v4": row("InceptionV4_timm")},
    ),
}
