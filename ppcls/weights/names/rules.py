"""Rules that turn our names of parameters into those of another toolkit.

A family has a few rules (pattern, replacement) for each toolkit; each is applied once to every one
of our names, in order. A replacement may be a function of the match and the network, where a name
depends on the network's depth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence, Tuple, Union

Replacement = Union[str, Callable[["re.Match[str]", Any], str]]
Rules = Sequence[Tuple[str, Replacement]]
Model = Tuple[str, Mapping[str, Any]]
"""The name of one of our networks, and the arguments that make it the other toolkit's."""


@dataclass(frozen=True)
class Naming:
    """What one toolkit calls one family.

    Attributes:
        rules: turn our parameter names into theirs.
        models: {their name of a variant: our name and arguments}.
        auxiliary: the pattern that names of auxiliary heads start with; files come with and without
            them. Empty where the family has none.
        older: rules that turn names in files of earlier versions of theirs into today's.
    """

    rules: Rules
    models: Mapping[str, Model] = field(default_factory=dict)
    auxiliary: str = ""
    older: Sequence[Tuple[str, str]] = ()

    def arguments(self, names: Iterable[str]) -> Dict[str, Any]:
        """Return what of our arguments only the file can tell, by the names that it holds."""
        if not self.auxiliary:
            return {}
        return {"aux": any(re.match(self.auxiliary, name) for name in names)}


def translate(name: str, rules: Rules, network: Any = None) -> str:
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


def minus_one(match: re.Match[str], network: Any) -> str:
    """Count from zero what we count from one: (conv)(1)(.) is conv0."""
    return f"{match[1]}{int(match[2]) - 1}{match[3]}"


def plus_one(match: re.Match[str], network: Any) -> str:
    """Count from one what we count from zero."""
    return f"{match[1]}{int(match[2]) + 1}{match[3]}"


def block_number(prefix: str, first: int = 0) -> Replacement:
    """Number the blocks of all stages through from `first`, for a match of (stage), (block)."""

    def number(match: re.Match[str], network: Any) -> str:
        before = (getattr(network, f"stage{stage}") for stage in range(1, int(match[1])))
        return f"{prefix}{first + sum(map(len, before)) + int(match[2])}."

    return number


def row(ours: str, **arguments: Any) -> Model:
    """Return one row of a table of models."""
    return ours, arguments


def same_names(names: Sequence[str]) -> Dict[str, Model]:
    """Return rows for variants that the other toolkit calls as we do."""
    return {name: row(name) for name in names}


TORCH_STATISTICS: List[Tuple[str, Replacement]] = [
    (r"\._mean$", ".running_mean"),
    (r"\._variance$", ".running_var"),
]
"""What PyTorch calls the running statistics of a batch normalisation."""

TIMM_ENDS: List[Tuple[str, Replacement]] = [
    (r"^stem\.conv", "conv_stem"),
    (r"^stem\.bn", "bn1"),
    (r"^head\.conv\.conv", "conv_head"),
    (r"^head\.conv\.bn", "bn2"),
    (r"^head\.fc", "classifier"),
    *TORCH_STATISTICS,
]
"""What timm calls the first and last layers of networks for mobile phones."""
