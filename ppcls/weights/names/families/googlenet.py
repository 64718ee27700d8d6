"""Parameter names of GoogLeNet in other toolkits."""

from __future__ import annotations

from typing import Dict

from ppcls.weights.names.rules import TORCH_STATISTICS, Naming, minus_one, row, same_names

FAMILY = "GoogLeNet"


NAMINGS: Dict[str, Naming] = {
    "paddleclas": Naming(
        rules=[
            (r"^conv1\.", "_conv."),
            (r"^conv2\.", "_conv_1."),
            (r"^conv3\.", "_conv_2."),
            (r"^inception(\d\w)\.branches", r"_ince\1"),
            (r"\.one\.conv1\.", "._conv1."),
            (r"\.three\.conv1\.", "._conv3r."),
            (r"\.three\.conv2\.", "._conv3."),
            (r"\.five\.conv1\.", "._conv5r."),
            (r"\.five\.conv2\.", "._conv5."),
            (r"\.pool\.conv1\.", "._convprj."),
            (r"^aux(\d)\.conv", r"_conv_o\1"),
            (r"\.conv\.", "._conv."),
            (r"^aux(\d)\.fc1", r"_fc_o\1"),
            (r"^aux(\d)\.fc2", r"_out\1"),
            (r"^head\.fc", "_fc_out"),
        ],
        models=same_names(["GoogLeNet"]),
        auxiliary=r"_(conv_o|fc_o|out)\d\.",
    ),
    "torchvision": Naming(
        rules=[
            (r"\.branches\.one\.conv1\.", ".branch1."),
            (r"\.branches\.three\.conv(\d)\.", r".branch2.\1."),
            (r"\.branches\.five\.conv(\d)\.", r".branch3.\1."),
            (r"(\.branch[23]\.)(\d)(\.)", minus_one),
            (r"\.branches\.pool\.conv1\.", ".branch4.1."),
            (r"^head\.fc", "fc"),
            *TORCH_STATISTICS,
        ],
        models={"googlenet": row("GoogLeNet_tv")},
        auxiliary=r"aux\d\.",
    ),
}
