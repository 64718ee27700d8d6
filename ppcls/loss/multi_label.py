"""Losses for images that have any number of classes."""

from __future__ import annotations

from typing import Annotated, Optional

import numpy as np
import paddle
import paddle.nn.functional as F
from pydantic import Field

from ppcls.labels import LabelKind, Labels
from ppcls.loss.base import Loss, smoothed
from ppcls.loss.class_weights import TrainClasses
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.registry import Provided, register

_TINY = 1e-12


@register("loss")
class MultiLabelLoss(Loss):
    """`BCELoss` in PaddleClas' form: -(t log(s) + (1 - t) log(1 - s)) of each class, s the sigmoid
    of its logit, averaged over the images.

    With `weight_ratio`, a class that the fraction r of the training images has counts exp(1 - r)
    times where an image has it and exp(r) times where not, so that rare classes are not lost: Li et
    al. 2015, "Multi-attribute Learning for Pedestrian Attribute Recognition" (DeepMAR).

    Args:
        weight: what the mean is multiplied by in a sum of losses.
        epsilon: label smoothing, as in `CELoss`; none where it is left out.
        size_sum: add up the classes of an image instead of averaging them.
        weight_ratio: see above; in evaluation, where no training set is at hand, it has no effect.
    """

    accepts = frozenset({LabelKind.MULTI_HOT, LabelKind.MIXED_MULTI_HOT})

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        epsilon: Optional[Annotated[float, Field(ge=0, lt=1)]] = None,
        size_sum: bool = False,
        weight_ratio: bool = False,
        classes: Provided[Optional[TrainClasses]] = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.epsilon = epsilon or 0.0
        self.size_sum = size_sum
        self._ratio: Optional[paddle.Tensor] = None
        if weight_ratio and classes is not None:
            ratio = classes.counts / max(1, classes.images)
            self._ratio = paddle.to_tensor(ratio.astype(np.float32))
            self.note = f"classes weigh by how many of the {classes.images:,} images have them"

    def forward(self, outputs: Outputs, labels: Labels) -> paddle.Tensor:
        """Return the weighted loss; see `Loss.forward`."""
        logits = main_logits(outputs)
        target = labels.values.astype(logits.dtype)
        wanted = smoothed(target, self.epsilon)
        costs = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        if self._ratio is not None:
            costs = costs * paddle.exp(target * (1 - self._ratio) + (1 - target) * self._ratio)
        return self.weight * (costs.sum(axis=1) if self.size_sum else costs).mean()


@register("loss")
class AsymmetricLoss(Loss):
    """Focuses on the classes that an image has, of which there are few among many that it has not.

    Of a class that the image has: -(1 - p)^gamma_pos log(p), p the sigmoid of its logit. Of another
    one: -q^gamma_neg log(1 - q) with q = max(p - clip, 0), so that easy ones count nothing. Summed
    over the classes, averaged over the images: Ridnik et al. 2021, "Asymmetric Loss For Multi-Label
    Classification", arXiv:2009.14119, whose values are the defaults.

    Args:
        weight: what the mean is multiplied by in a sum of losses.
        gamma_neg: how little easy classes count which the image has not.
        gamma_pos: the same of those that it has.
        clip: the probability below which a class that the image has not counts nothing.
    """

    accepts = frozenset({LabelKind.MULTI_HOT, LabelKind.MIXED_MULTI_HOT})

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        gamma_neg: Annotated[float, Field(ge=0)] = 4.0,
        gamma_pos: Annotated[float, Field(ge=0)] = 0.0,
        clip: Annotated[float, Field(ge=0, lt=1)] = 0.05,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.gamma_neg, self.gamma_pos, self.clip = gamma_neg, gamma_pos, clip

    def forward(self, outputs: Outputs, labels: Labels) -> paddle.Tensor:
        """Return the weighted loss; see `Loss.forward`."""
        logits = main_logits(outputs).astype("float32")
        target = labels.values
        probability = F.sigmoid(logits)
        shifted = F.relu(probability - self.clip)
        # log(p) from the logit, which stays exact where p itself is 0.
        has = -_power(1 - probability, self.gamma_pos) * F.log_sigmoid(logits)
        # 1 - q is clip at least, or, without clip, the sigmoid of the negative logit.
        rest = paddle.log(1 - shifted) if self.clip else F.log_sigmoid(-logits)
        has_not = -_power(shifted, self.gamma_neg) * rest
        costs = target * has + (1 - target) * has_not
        return self.weight * costs.sum(axis=1).mean()


def _power(base: paddle.Tensor, exponent: float) -> paddle.Tensor:
    """Return base^exponent. Of 0 a power below 1 has no gradient, so a little is left of it."""
    return paddle.ones_like(base) if exponent == 0 else paddle.clip(base, min=_TINY) ** exponent
