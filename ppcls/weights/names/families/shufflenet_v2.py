"""Parameter names of ShuffleNetV2 in other toolkits."""

from __future__ import annotations

from typing import Dict

from ppcls.weights.names.rules import TORCH_STATISTICS, Naming, plus_one, row, same_names

FAMILY = "ShuffleNetV2"

_SCALES = ("x0_25", "x0_33", "x0_5", "x1_0", "x1_5", "x2_0")

NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"\.shortcut\.depthwise\.", "._conv_dw_1."),
            (r"\.shortcut\.conv\.", "._conv_linear_1."),
            (r"\.0\.branch\.conv1\.", ".0._conv_pw_2."),
            (r"\.0\.branch\.depthwise\.", ".0._conv_dw_2."),
            (r"\.0\.branch\.conv2\.", ".0._conv_linear_2."),
            (r"\.branch\.conv1\.", "._conv_pw."),
            (r"\.branch\.depthwise\.", "._conv_dw."),
            (r"\.branch\.conv2\.", "._conv_linear."),
            (r"^stage(\d\.)(\d+)(\.)", plus_one),
            (r"^(\d)\.", r"\1_"),
            (r"^stem\.", "_conv1."),
            (r"^head\.conv\.", "_last_conv."),
            (r"\.conv\.weight$", "._conv.weight"),
            (r"\.bn\.", "._batch_norm."),
            (r"^head\.fc", "_fc"),
        ],
        models=same_names([f"ShuffleNetV2_{name}" for name in (*_SCALES, "swish")]),
    ),
    "torchvision": Naming(
        rules=[
            (r"\.shortcut\.depthwise\.conv", ".branch1.0"),
            (r"\.shortcut\.depthwise\.bn", ".branch1.1"),
            (r"\.shortcut\.conv\.conv", ".branch1.2"),
            (r"\.shortcut\.conv\.bn", ".branch1.3"),
            (r"\.branch\.conv1\.conv", ".branch2.0"),
            (r"\.branch\.conv1\.bn", ".branch2.1"),
            (r"\.branch\.depthwise\.conv", ".branch2.3"),
            (r"\.branch\.depthwise\.bn", ".branch2.4"),
            (r"\.branch\.conv2\.conv", ".branch2.5"),
            (r"\.branch\.conv2\.bn", ".branch2.6"),
            (r"^stem\.conv", "conv1.0"),
            (r"^stem\.bn", "conv1.1"),
            (r"^head\.conv\.conv", "conv5.0"),
            (r"^head\.conv\.bn", "conv5.1"),
            (r"^head\.fc", "fc"),
            *TORCH_STATISTICS,
        ],
        models={f"shufflenet_v2_{name}": row(f"ShuffleNetV2_{name}") for name in _SCALES[2:]},
    ),
}
