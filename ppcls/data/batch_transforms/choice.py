"""One of several batch transforms, by chance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ppcls.data.batch import Batch
from ppcls.data.batch_transforms.base import BatchTransform, Mixing, as_soft
from ppcls.errors import ConfigError
from ppcls.registry import Provided, as_part, register


@register("batch_transform")
@dataclass(eq=False)
class OpSampler(Mixing):
    """Apply one of several ops to a batch, each with the probability that its key `prob` says; what
    is left to 1 is the probability that images stay as they are.

    Args:
        MixupOperator: arguments of that op, and `prob`; None leaves it out.
        CutmixOperator, FmixOperator: likewise.
        class_num: how many classes there are.

    Raises:
        ConfigError: there is no op, one has no probability or wrong arguments, or the probabilities
            add up to more than 1.
    """

    MixupOperator: Optional[Dict[str, Any]] = None
    CutmixOperator: Optional[Dict[str, Any]] = None
    FmixOperator: Optional[Dict[str, Any]] = None
    class_num: Provided[int] = 0
    _ops: List[Tuple[float, BatchTransform]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given = {
            "MixupOperator": self.MixupOperator,
            "CutmixOperator": self.CutmixOperator,
            "FmixOperator": self.FmixOperator,
        }
        self._ops = [self._op(name, wanted) for name, wanted in given.items() if wanted is not None]
        total = sum(prob for prob, _ in self._ops)
        if not self._ops or total > 1 + 1e-6:
            told = f"add up to {total:g}, which is more than 1" if self._ops else "are missing"
            raise ConfigError(
                f"the probabilities of OpSampler {told}; write as in "
                "OpSampler: {MixupOperator: {alpha: 0.8, prob: 0.5}, "
                "CutmixOperator: {alpha: 1.0, prob: 0.5}}"
            )

    def _op(self, name: str, wanted: Dict[str, Any]) -> Tuple[float, BatchTransform]:
        arguments = {key: value for key, value in wanted.items() if key != "prob"}
        prob = wanted.get("prob")
        if not isinstance(prob, (int, float)) or isinstance(prob, bool) or not 0 <= prob <= 1:
            raise ConfigError(f"OpSampler.{name}.prob must be a number from 0 to 1, got {prob!r}")
        op: BatchTransform = as_part("batch_transform", {name: arguments}).build(
            class_num=self.class_num
        )
        return float(prob), op

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return what the drawn op makes of a batch; labels are soft in any case."""
        drawn = rng.random()
        for prob, op in self._ops:
            if drawn < prob:
                return op(batch, rng)
            drawn -= prob
        return replace(batch, labels=as_soft(batch.labels, self.class_num))
