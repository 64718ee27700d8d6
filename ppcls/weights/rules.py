"""Rules that turn the names of our parameters into those of another toolkit.

A family has a few rules (pattern, replacement); each is applied once to every name, in order. A
replacement may be a function of the match and the network, where a name depends on its depth.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Callable, Sequence, Tuple, Union

Replacement = Union[str, Callable[[re.Match[str], Any], str]]
Rules = Sequence[Tuple[str, Replacement]]


def translate(name: str, rules: Rules, network: Any) -> str:
    """Return what the parameter `name` of `network` is called under `rules`."""
    for pattern, replacement in rules:
        if callable(replacement):
            name = re.sub(pattern, partial(_call, replacement, network), name, count=1)
        else:
            name = re.sub(pattern, replacement, name, count=1)
    return name


def _call(
    replacement: Callable[[re.Match[str], Any], str], network: Any, match: re.Match[str]
) -> str:
    return replacement(match, network)
