"""The interface of metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Dict, FrozenSet, List, Mapping

from ppcls.labels import HARD_ONLY, LabelKind, Labels
from ppcls.loss.outputs import Outputs


class Metric(ABC):
    """A measure over a set that is seen batch by batch.

    `update` runs in every training step: it must not wait for the device. `compute` may.

    Attributes:
        accepts: the kinds of labels that `update` takes. Training does not start with others.
        in_training: whether it can be measured while training, where the state goes into every
            checkpoint: not where that grows with the set.
    """

    accepts: ClassVar[FrozenSet[LabelKind]] = HARD_ONLY
    in_training: ClassVar[bool] = True

    @property
    @abstractmethod
    def names(self) -> List[str]:
        """The keys of what `compute` returns; the first one is the main value."""

    def higher_is_better(self, name: str) -> bool:
        """Whether the best model is the one with the highest value called `name`."""
        return True

    @abstractmethod
    def reset(self) -> None:
        """Forget everything seen so far."""

    @abstractmethod
    def update(self, outputs: Outputs, labels: Labels) -> None:
        """Take in one batch; it may be empty.

        Args:
            outputs: logits [n, classes], or a dict or sequence with them; see `main_logits`.
            labels: n labels of a kind in `accepts`, as tensors.
        """

    @abstractmethod
    def compute(self) -> Dict[str, float]:
        """Return the values over everything seen since `reset`; nan when nothing was seen."""

    @abstractmethod
    def state(self) -> Dict[str, Any]:
        """Return what `load_state` needs to go on from here, as plain numbers. Those of several
        processes are added.
        """

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned.

        Raises:
            CheckpointError: the state is another metric's.
        """
