"""Parameter names of AlexNet in other toolkits."""

from __future__ import annotations

from typing import Dict

from ppcls.weights.names.rules import Naming, row, same_names

FAMILY = "AlexNet"

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^stage\d\.conv([34])\.conv", r"_conv\1"),
            (r"^stage\d\.conv(\d)\.conv", r"_conv\1._conv"),
            (r"^head\.fc", "_fc"),
        ],
        models=same_names(["AlexNet"]),
    ),
    "torchvision": Naming(
        rules=[
            (r"^stage1\.conv1\.conv", "features.0"),
            (r"^stage2\.conv2\.conv", "features.3"),
            (r"^stage3\.conv3\.conv", "features.6"),
            (r"^stage3\.conv4\.conv", "features.8"),
            (r"^stage3\.conv5\.conv", "features.10"),
            (r"^head\.fc6", "classifier.1"),
            (r"^head\.fc7", "classifier.4"),
            (r"^head\.fc8", "classifier.6"),
        ],
        models={"alexnet": row("AlexNet_tv")},
    ),
}
