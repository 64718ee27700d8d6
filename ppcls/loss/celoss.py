"""Cross entropy with label smoothing and weights of classes."""

from __future__ import annotations

from typing import Annotated, Optional

import numpy as np
import paddle
import paddle.nn.functional as F
from pydantic import Field

from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.loss.base import Loss, distributions, smoothed
from ppcls.loss.class_weights import (
    ClassWeights,
    TrainClasses,
    class_weights_of,
    describe_class_weights,
)
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.registry import Provided, register


@register("loss", "GoogLeNetLoss")
@register("loss")
class CELoss(Loss):
    """Mean over the batch of -sum(target * log_softmax(logits)), times `weight`.

    The target is a hard label's one-hot vector, or a soft label itself. Smoothing mixes either with
    the uniform distribution: (1 - epsilon) * target + epsilon / classes (Szegedy et al.,
    "Rethinking the Inception architecture", 2016). Half-precision logits are computed in float32.
    On CPUs Paddle lets no log-probability fall below -64, so that a loss above is reported as 64
    there; gradients are exact everywhere.

    With weights w of the classes the loss is the sum over the batch of
    -sum(w * smoothed target * log_softmax(logits)), divided by the sum of sum(w * target), before
    smoothing: PyTorch's formula for hard labels, in which smoothing's share of each class has that
    class's weight.

    PaddleClas calls it GoogLeNetLoss where a network has auxiliary heads; these count in any loss
    here, see `CombinedLoss`.

    Args:
        weight: what the mean is multiplied by in a sum of losses.
        epsilon: label smoothing; none where it is left out.
        class_weights: "auto" for weights in inverse proportion to the images of the classes, or a
            weight for each class, by name (1 where left out) or in order; none where left out.
        classes: those of the training set.

    Raises:
        ConfigError: the weights do not fit the classes, or are given for evaluation, which judges
            every image alike.
    """

    accepts = frozenset({LabelKind.HARD, LabelKind.SOFT})

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        epsilon: Optional[Annotated[float, Field(ge=0, lt=1)]] = None,
        class_weights: Optional[ClassWeights] = None,
        classes: Provided[Optional[TrainClasses]] = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.epsilon = epsilon or 0.0
        self._class_weights: Optional[np.ndarray] = None
        if class_weights is not None:
            if classes is None:
                raise ConfigError(
                    "class_weights are for Loss.Train; evaluation judges every image alike, so "
                    "leave them out of Loss.Eval"
                )
            self._class_weights = class_weights_of(class_weights, classes)
            self.note = describe_class_weights(self._class_weights, classes)

    def forward(self, outputs: Outputs, labels: Labels) -> paddle.Tensor:
        """Return the weighted loss; see `Loss.forward`."""
        logits = main_logits(outputs)
        if self._class_weights is not None:
            return self.weight * self._weighted(logits, labels)
        if labels.kind is LabelKind.HARD and not self.epsilon:
            return self.weight * F.cross_entropy(logits, labels.values)
        target = distributions(labels, logits.shape[-1]).astype(logits.dtype)
        target = smoothed(target, self.epsilon)
        return self.weight * F.cross_entropy(logits, target, soft_label=True)

    def _weighted(self, logits: paddle.Tensor, labels: Labels) -> paddle.Tensor:
        weights = paddle.to_tensor(self._class_weights, dtype=logits.dtype)
        target = distributions(labels, logits.shape[-1]).astype(logits.dtype)
        total = -(weights * smoothed(target, self.epsilon) * F.log_softmax(logits)).sum()
        return total / (weights * target).sum()
