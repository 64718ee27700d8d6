"""Arguments of PaddleClas' networks by the names that they have here."""

from __future__ import annotations

from typing import List

from ppcls.config.document import Document
from ppcls.config.schema import describe

_LAYERS = {"ConvBNLayer": "plain", "DiverseBranchBlock": "dbb"}
"""What `layer_type` of a ResNet may be there, and `conv` here."""


def translate_arch(document: Document) -> List[str]:
    """Rename `layer_type` and `use_first_short_conv` of a ResNet; return what is wrong there."""
    arch = document.data.get("Arch")
    if not isinstance(arch, dict) or not str(arch.get("name")).startswith("ResNet"):
        return []
    mistakes = []
    if "layer_type" in arch:
        where, wanted = describe(document, ("Arch", "layer_type")), str(arch.pop("layer_type"))
        if wanted in _LAYERS:
            arch.setdefault("conv", _LAYERS[wanted])
        else:
            mistakes.append(f"{where}: {wanted!r} is none of {', '.join(_LAYERS)}")
    if "use_first_short_conv" in arch:
        arch.setdefault("first_projection", arch.pop("use_first_short_conv"))
    return mistakes
