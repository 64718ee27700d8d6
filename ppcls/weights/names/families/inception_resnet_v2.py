"""Parameter names of Inception-ResNet v2 in other toolkits."""

from __future__ import annotations

from typing import Dict

from ppcls.weights.names.rules import TORCH_STATISTICS, Naming, minus_one, row

FAMILY = "InceptionResNetV2"

NAMINGS: Dict[str, Naming] = {
    "timm": Naming(
        rules=[
            (r"^conv_", "conv2d_"),
            (r"^blocks_c\.9\.", "block8."),
            (r"^blocks_a\.", "repeat."),
            (r"^blocks_b\.", "repeat_1."),
            (r"^blocks_c\.", "repeat_2."),
            (r"\.branches\.", "."),
            (r"\.expand\.", ".conv2d."),
            (r"\.one\.conv1\.", ".branch0."),
            (r"^(mixed_6a)\.short\.conv1\.", r"\1.branch0."),
            (r"^(mixed_6a)\.long\.", r"\1.branch1."),
            (r"^(mixed_7a)\.first\.", r"\1.branch0."),
            (r"^(mixed_7a)\.second\.", r"\1.branch1."),
            (r"^(mixed_7a)\.long\.", r"\1.branch2."),
            (r"\.(?:five|three|seven)\.", ".branch1."),
            (r"\.long\.", ".branch2."),
            (r"\.pool\.conv1\.", ".branch3.1."),
            (r"(branch\d\.)conv(\d)(\.)", minus_one),
            (r"^head\.fc", "classif"),
            *TORCH_STATISTICS,
        ],
        models={"inception_resnet_v2": row("InceptionResNetV2", dropout=0.0)},
    ),
}
