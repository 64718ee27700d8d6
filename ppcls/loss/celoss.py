"""Cross entropy with label smoothing."""

from __future__ import annotations

from typing import Annotated, Optional

import paddle
import paddle.nn.functional as F
from pydantic import Field

from ppcls.labels import LabelKind, Labels
from ppcls.loss.base import Loss, distributions
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.registry import register


@register("loss")
class CELoss(Loss):
    """Mean over the batch of -sum(target * log_softmax(logits)), times `weight`.

    The target is a hard label's one-hot vector, or a soft label itself. Smoothing mixes either with
    the uniform distribution: (1 - epsilon) * target + epsilon / classes (Szegedy et al.,
    "Rethinking the Inception architecture", 2016). Half-precision logits are computed in float32.
    On CPUs Paddle lets no log-probability fall below -64, so that a loss above is reported as 64
    there; gradients are exact everywhere.

    Args:
        weight: what the mean is multiplied by in a sum of losses.
        epsilon: label smoothing; none where it is left out.
    """

    accepts = frozenset({LabelKind.HARD, LabelKind.SOFT})

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        epsilon: Optional[Annotated[float, Field(ge=0, lt=1)]] = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.epsilon = epsilon or 0.0

    def forward(self, outputs: Outputs, labels: Labels) -> paddle.Tensor:
        """Return the weighted loss; see `Loss.forward`."""
        logits = main_logits(outputs)
        if labels.kind is LabelKind.HARD and not self.epsilon:
            return self.weight * F.cross_entropy(logits, labels.values)
        target = self._smooth(distributions(labels, logits.shape[-1]).astype(logits.dtype))
        return self.weight * F.cross_entropy(logits, target, soft_label=True)

    def _smooth(self, target: paddle.Tensor) -> paddle.Tensor:
        return (1 - self.epsilon) * target + self.epsilon / target.shape[-1]
