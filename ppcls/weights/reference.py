"""Weights that other toolkits trained, under the names that they use.

`SOURCES` maps a toolkit to its families' rules; one more toolkit is one more table here.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

import numpy as np

from ppcls.weights import paddleclas
from ppcls.weights.rules import Rules, translate

SOURCES: Dict[str, Mapping[str, Rules]] = {"paddleclas": paddleclas.RULES}


def reference_names(source: str, network: Any) -> Dict[str, str]:
    """Return, for every array of `network`, its name in the toolkit `source`: {ours: theirs}.

    The result is empty when the toolkit has no checkpoints of this family.
    """
    rules = SOURCES[source].get(type(network).__name__)
    if rules is None:
        return {}
    return {name: translate(name, rules, network) for name in network.state_dict()}


def to_own_names(
    network: Any, arrays: Mapping[str, np.ndarray]
) -> Tuple[Dict[str, np.ndarray], str]:
    """Recognise whose names `arrays` has, and return the arrays under ours, and the source.

    The source whose names occur most often wins; "ppcls" is ourselves, and also the answer when no
    name is known. Arrays whose name has no counterpart keep it.
    """
    best, renamed = "ppcls", {name: name for name in network.state_dict()}
    known = len(arrays.keys() & renamed.keys())
    for source in SOURCES:
        theirs = {other: own for own, other in reference_names(source, network).items()}
        if len(arrays.keys() & theirs.keys()) > known:
            best, renamed, known = source, theirs, len(arrays.keys() & theirs.keys())
    return {renamed.get(name, name): array for name, array in arrays.items()}, best
