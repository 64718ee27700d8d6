"""Cross entropy that looks away from what is easy."""

from __future__ import annotations

from typing import Annotated, Optional

import paddle
import paddle.nn.functional as F
from pydantic import Field

from ppcls.labels import LabelKind, Labels
from ppcls.loss.base import Loss, distributions, smoothed
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.registry import register


@register("loss")
class FocalLoss(Loss):
    """Mean over the batch of -sum(target * (1 - p)^gamma * log(p)), times `weight`.

    p are the probabilities of the classes (softmax). The surer a network is of the right class, the
    less an image counts: with gamma 2, one of p = 0.9 a hundredth. Lin et al. 2017, "Focal Loss for
    Dense Object Detection", arXiv:1708.02002, there with sigmoids.

    Args:
        weight: what the mean is multiplied by in a sum of losses.
        gamma: how much less; 0 is the plain cross entropy.
        epsilon: label smoothing, as in `CELoss`; none where it is left out.
    """

    accepts = frozenset({LabelKind.HARD, LabelKind.SOFT})

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        gamma: Annotated[float, Field(ge=0)] = 2.0,
        epsilon: Optional[Annotated[float, Field(ge=0, lt=1)]] = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.gamma = gamma
        self.epsilon = epsilon or 0.0

    def forward(self, outputs: Outputs, labels: Labels) -> paddle.Tensor:
        """Return the weighted loss; see `Loss.forward`."""
        logits = main_logits(outputs)
        target = distributions(labels, logits.shape[-1]).astype(logits.dtype)
        target = smoothed(target, self.epsilon)
        logarithms = F.log_softmax(logits)
        # 1 - p as such is 0 for a sure class, where the power's gradient need not be finite.
        rest = paddle.clip(1 - paddle.exp(logarithms), min=1e-7)
        total = -(target * rest**self.gamma * logarithms).sum()
        return self.weight * total / logits.shape[0]
