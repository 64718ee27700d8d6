"""Cross entropy of each class on its own."""

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
class BCELoss(Loss):
    """Mean over images and classes of -(t log(s) + (1 - t) log(1 - s)), times `weight`.

    s is the sigmoid of a logit, so that each class is a question of its own. t is 1 for the class
    of a hard label and 0 for others, or the fraction of a soft label. Wightman et al. 2021, "ResNet
    strikes back", arXiv:2110.00476, train so with Mixup and CutMix, whose classes are then both
    right (`target_threshold`).

    Args:
        weight: what the mean is multiplied by in a sum of losses.
        epsilon: label smoothing, as in `CELoss`; none where it is left out.
        target_threshold: fractions above it count as 1 and others as 0; None leaves them.
    """

    accepts = frozenset(LabelKind)

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        epsilon: Optional[Annotated[float, Field(ge=0, lt=1)]] = None,
        target_threshold: Optional[Annotated[float, Field(ge=0, lt=1)]] = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.epsilon = epsilon or 0.0
        self.target_threshold = target_threshold

    def forward(self, outputs: Outputs, labels: Labels) -> paddle.Tensor:
        """Return the weighted loss; see `Loss.forward`."""
        logits = main_logits(outputs)
        target = distributions(labels, logits.shape[-1]).astype(logits.dtype)
        target = smoothed(target, self.epsilon)
        if self.target_threshold is not None:
            target = (target > self.target_threshold).astype(logits.dtype)
        return self.weight * F.binary_cross_entropy_with_logits(logits, target)
