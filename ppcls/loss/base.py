"""The interface of losses."""

from __future__ import annotations

from typing import ClassVar, FrozenSet, Optional

import paddle
import paddle.nn.functional as F

from ppcls.labels import HARD_ONLY, LabelKind, Labels
from ppcls.loss.outputs import Outputs


class Loss(paddle.nn.Layer):
    """What training makes small. A subclass multiplies by a `weight` of its own.

    Attributes:
        accepts: the kinds of labels that `forward` takes. Training does not start with others.
        needs_teacher: whether `forward` takes the logits of a teacher as well, as `taught`.
        needs_features: whether it takes `features` as well, those of the network and those of its
            teacher: what goes into the last layer. It `needs_teacher`, too.
        note: a line for the start of a run, where there is something to say.
    """

    accepts: ClassVar[FrozenSet[LabelKind]] = HARD_ONLY
    needs_teacher: ClassVar[bool] = False
    needs_features: ClassVar[bool] = False
    note: Optional[str] = None

    def forward(self, outputs: Outputs, labels: Labels) -> paddle.Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            outputs: logits [n, classes], or a dict or sequence with them; see `main_logits`.
            labels: n labels of a kind in `accepts`, as tensors.
        """
        raise NotImplementedError


def smoothed(target: paddle.Tensor, epsilon: float) -> paddle.Tensor:
    """Return targets [n, classes], mixed with the uniform distribution (label smoothing)."""
    return (1 - epsilon) * target + epsilon / target.shape[-1]


def distributions(labels: Labels, classes: int) -> paddle.Tensor:
    """Return hard or soft labels as distributions: float32 [n, classes], one-hot for hard ones."""
    return F.one_hot(labels.values, classes) if labels.kind is LabelKind.HARD else labels.values
