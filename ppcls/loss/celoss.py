"""Cross entropy with label smoothing."""

from __future__ import annotations

from typing import Annotated, Optional

import paddle
import paddle.nn.functional as F
from pydantic import Field

from ppcls.errors import ConfigError
from ppcls.loss.outputs import Outputs, is_soft, main_logits
from ppcls.registry import register


@register("loss")
class CELoss(paddle.nn.Layer):
    """Mean over the batch of -sum(target * log_softmax(logits)), times `weight`.

    The target is the label's one-hot vector, or the label itself where labels are distributions
    [n, classes]. Smoothing mixes either with the uniform distribution: (1 - epsilon) * target +
    epsilon / classes (Szegedy et al., "Rethinking the Inception architecture", 2016).
    Half-precision logits are computed in float32. On CPUs Paddle lets no log-probability fall below
    -64, so that a loss above is reported as 64 there; gradients are exact everywhere.

    Raises:
        ConfigError: `epsilon` is not in [0, 1), or `weight` is negative.
    """

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0,
        epsilon: Optional[Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]] = None,
    ) -> None:
        super().__init__()
        if not 0 <= weight < float("inf"):
            raise ConfigError(f"CELoss.weight must be finite and at least 0, got {weight!r}")
        if epsilon is not None and not 0 <= epsilon < 1:
            raise ConfigError(
                f"CELoss.epsilon (label smoothing) must lie in [0, 1), got {epsilon!r}"
            )
        self.weight = weight
        self.epsilon = epsilon or 0.0

    def forward(self, outputs: Outputs, labels: paddle.Tensor) -> paddle.Tensor:
        """Return the weighted loss, a scalar.

        Args:
            outputs: logits [n, classes], or a dict or sequence with them
            labels: class indices [n] or [n, 1], or distributions [n, classes]
        """
        logits = main_logits(outputs)
        classes = logits.shape[-1]
        if is_soft(labels, classes) or self.epsilon:
            target = self._smooth(_distribution(labels, classes, logits.dtype))
            return self.weight * F.cross_entropy(logits, target, soft_label=True)
        return self.weight * F.cross_entropy(logits, labels.reshape([-1]))

    def _smooth(self, target: paddle.Tensor) -> paddle.Tensor:
        return (1 - self.epsilon) * target + self.epsilon / target.shape[-1]


def _distribution(labels: paddle.Tensor, classes: int, dtype: paddle.dtype) -> paddle.Tensor:
    if is_soft(labels, classes):
        return labels.astype(dtype)
    return F.one_hot(labels.reshape([-1]), classes).astype(dtype)
