"""Which settings are tried, and between which values: texts such as ``A.b=log(0.001,0.1)``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ppcls.config import Config, to_yaml
from ppcls.errors import ConfigError, UsageError
from ppcls.text import shortened
from ppcls.yaml_text import parse_value

_NUMBER = r"[-+]?(?:\d{1,30}\.?\d{0,30}|\.\d{1,30})(?:[eE][-+]?\d{1,3})?"
_RANGE = re.compile(rf"(log|int|)\s*\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)")
_MOST_CHOICES = 100
_DECADE = 10.0
"""By how much the default search goes up and down from the recipe's learning rate and decay."""

_FORMS = (
    "(a,b) for numbers from a to b, log(a,b) where their magnitude matters, int(a,b) for whole "
    "ones, [a, b, c] for a choice"
)


@dataclass(frozen=True)
class Dimension:
    """A setting that is tried out.

    Attributes:
        key: where it stands in the configuration, as for ``-o``.
        low: the smallest number; None for a choice.
        high: the largest.
        kind: "" for any number, "log" where its logarithm is drawn evenly, "int" for whole ones.
        choices: what to choose from, as YAML texts; empty for a range.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    kind: str = ""
    choices: Tuple[str, ...] = ()

    def suggest(self, trial: Any) -> str:
        """Let a trial of Optuna choose, and return the value as an override takes it."""
        if self.choices:
            return str(trial.suggest_categorical(self.key, self.choices))
        if self.kind == "int":
            return str(trial.suggest_int(self.key, int(self.low), int(self.high)))
        value = trial.suggest_float(self.key, self.low, self.high, log=self.kind == "log")
        return yaml_of(value)

    def ends(self) -> List[str]:
        """Return values that a configuration must accept for all to be accepted."""
        if self.choices:
            return list(self.choices)
        numbers = (self.low, self.high)
        return [str(int(n)) if self.kind == "int" else yaml_of(n) for n in numbers]

    def __str__(self) -> str:
        if self.choices:
            return f"{self.key}=[{', '.join(self.choices)}]"
        return f"{self.key}={self.kind}({self.low:g},{self.high:g})"


def yaml_of(value: Any) -> str:
    """Return a value as YAML on one line: 1.0e-05, which YAML would take for a text as 1e-05."""
    return " ".join(to_yaml([value]).splitlines())[2:].strip()


def parse_dimension(text: str) -> Dimension:
    """Read ``KEY=(a,b)``, ``KEY=log(a,b)``, ``KEY=int(a,b)`` or ``KEY=[a, b, c]``.

    Raises:
        UsageError: it is something else, or the range is empty.
    """
    key, equals, space = (part.strip() for part in text.partition("="))
    if not key or not equals:
        raise UsageError(f"--search {shortened(text)}: write KEY=SPACE, where SPACE is {_FORMS}")
    found = _RANGE.fullmatch(space)
    return _ranged(key, found, text) if found else Dimension(key, choices=_choices(space, text))


def _ranged(key: str, found: re.Match[str], text: str) -> Dimension:
    kind, low, high = found[1], float(found[2]), float(found[3])
    wrong = ""
    if not low < high or math.isinf(high - low):
        wrong = "the first number must be below the second one"
    elif kind == "log" and low <= 0:
        wrong = "log takes numbers above 0"
    elif kind == "int" and (low % 1 or high % 1):
        wrong = "int takes whole numbers"
    if wrong:
        raise UsageError(f"--search {shortened(text)}: {wrong}")
    return Dimension(key, low, high, kind)


def _choices(space: str, text: str) -> Tuple[str, ...]:
    try:
        values = parse_value(space)
    except ConfigError:
        values = None
    if not isinstance(values, list) or not 2 <= len(values) <= _MOST_CHOICES:
        raise UsageError(
            f"--search {shortened(text)}: this is no space to search: write {_FORMS} "
            f"(2 to {_MOST_CHOICES} values)"
        )
    return tuple(dict.fromkeys(_flow(value) for value in values))


def _flow(value: Any) -> str:
    """Return a value in YAML's form for one line, also where it holds others."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return yaml_of(value)


def read_search(texts: Sequence[str], config: Config) -> List[Dimension]:
    """Return what to search: the given texts, or else what is usual for the configuration.

    Raises:
        UsageError: a text makes no sense, or a key is there twice; or nothing is given, and nothing
            usual is in the configuration.
    """
    found = [parse_dimension(text) for text in texts] or default_search(config)
    keys = [dimension.key for dimension in found]
    doubled = [key for key in keys if keys.count(key) > 1]
    if doubled:
        raise UsageError(f"--search gives {shortened(doubled[0])} twice; keep one of them")
    if not found:
        raise UsageError(
            "what is to be tried? This recipe has no learning rate, weight decay or label "
            "smoothing where they usually stand; name settings: --search KEY=SPACE ..., where "
            f"SPACE is {_FORMS}"
        )
    return found


def default_search(config: Config) -> List[Dimension]:
    """Return the usual search around a recipe's own values: learning rate and weight decay within a
    factor of ten either way, label smoothing up to 0.2.
    """
    found = []
    for key in (
        "Optimizer.lr.learning_rate",
        "Optimizer.regularizer.coeff",
        "Optimizer.weight_decay",
    ):
        value = _number_at(config.data, key)
        if value:
            found.append(Dimension(key, value / _DECADE, value * _DECADE, "log"))
    epsilon = _smoothing(config)
    return [*found, Dimension(epsilon, 0.0, 0.2)] if epsilon else found


def _number_at(data: Any, key: str) -> float:
    for name in key.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return float(data) if isinstance(data, (int, float)) and not isinstance(data, bool) else 0.0


def _smoothing(config: Config) -> Optional[str]:
    """Return the key of the label smoothing of the first loss, if that is cross-entropy."""
    losses: Dict[str, Any] = config.data.get("Loss") or {}
    first = (losses.get("Train") or [None])[0]
    if isinstance(first, dict) and "CELoss" in first:
        return "Loss.Train.0.CELoss.epsilon"
    named = isinstance(first, dict) and first.get("name") == "CELoss"
    return "Loss.Train.0.epsilon" if named else None
