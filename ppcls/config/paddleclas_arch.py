"""Arguments of PaddleClas' networks by the names that they have here."""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

from ppcls.config.document import Document, KeyPath
from ppcls.config.schema import describe
from ppcls.text import shown

_NETWORKS = re.compile("ResNet(18|34)")
"""Those that have the arguments there; their other ResNets put the blocks elsewhere than ours."""

_RENAMED: Tuple[Tuple[str, str, Dict[str, str]], ...] = (
    # there, here, values there: here (none: as they are)
    ("layer_type", "conv", {"ConvBNLayer": "plain", "DiverseBranchBlock": "dbb"}),
    ("use_first_short_conv", "first_projection", {}),
)


def translate_arch(document: Document) -> List[str]:
    """Rename arguments of `Arch` and `Teacher`; return what is wrong with them."""
    mistakes: List[str] = []
    for section in ("Arch", "Teacher"):
        network = document.data.get(section)
        if isinstance(network, dict) and _NETWORKS.fullmatch(str(network.get("name"))):
            for old, new, values in _RENAMED:
                if old in network:
                    mistakes += _renamed(document, (section, old), new, values)
    return mistakes


def _renamed(document: Document, path: KeyPath, new: str, values: Dict[str, str]) -> List[str]:
    network, (section, old) = document.data[path[0]], path
    where, place = describe(document, path), document.place(path)
    value = network.pop(old)
    document.forget(path)
    if new in network:
        return [f"{where} is {new} here, which {section} has as well; remove one of them"]
    if values and str(value) not in values:
        return [f"{where}: {shown(value)} is none of {', '.join(values)}"]
    network[new] = values[str(value)] if values else value
    document.put((section, new), place)
    return []
