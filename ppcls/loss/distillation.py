"""Learning from what another network says: knowledge distillation."""

from __future__ import annotations

from typing import Annotated, Any

import paddle
import paddle.nn.functional as F
from pydantic import Field

from ppcls.labels import LabelKind, Labels
from ppcls.loss.base import Loss
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.registry import register


@register("loss")
class DistillationLoss(Loss):
    """How far a network's probabilities are from its teacher's: the mean over the batch of
    temperature^2 KL(teacher || network), times `weight`.

    Both are softmax(logits / temperature); the square keeps gradients as large as they are without
    a temperature. Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network",
    arXiv:1503.02531. The teacher sees the images as the network does, crops and mixtures included
    (Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and consistent",
    arXiv:2106.05237). Labels play no part: a `CELoss` beside it looks at these.

    Args:
        weight: what the mean is multiplied by in a sum of losses.
        temperature: the higher, the more the smaller probabilities count.
        symmetric: take the mean of both directions, KL(teacher || network) and KL(network ||
            teacher), as Zhang et al. 2018, "Deep Mutual Learning", arXiv:1706.00384, do with two
            networks that both learn, and PaddleClas' SSLD with a teacher.
    """

    # Classes that do not exclude each other have no distribution that could be compared.
    accepts = frozenset({LabelKind.HARD, LabelKind.SOFT})
    needs_teacher = True

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        temperature: Annotated[float, Field(gt=0)] = 1.0,
        symmetric: bool = False,
    ) -> None:
        super().__init__()
        self.weight, self.temperature, self.symmetric = weight, temperature, symmetric

    def forward(self, outputs: Outputs, labels: Labels, taught: Any = None) -> paddle.Tensor:
        """Return the weighted loss.

        Args:
            outputs: see `Loss.forward`.
            labels: of no use here.
            taught: the teacher's logits [n, classes].
        """
        logits = main_logits(outputs) / self.temperature
        known = main_logits(taught).astype(logits.dtype) / self.temperature
        divergence = _divergence(known, logits)
        if self.symmetric:
            divergence = (divergence + _divergence(logits, known)) / 2
        return self.weight * self.temperature**2 * divergence / logits.shape[0]


def _divergence(one: paddle.Tensor, other: paddle.Tensor) -> paddle.Tensor:
    """Return KL(one || other) of the softmax of logits [n, classes], summed over all."""
    # The order in which Paddle's function has it: KL of the second from the first.
    return F.kl_div(F.log_softmax(other), F.softmax(one), reduction="sum")
