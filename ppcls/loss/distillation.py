"""Learning from what another network says: knowledge distillation."""

from __future__ import annotations

from typing import Annotated, Any, Tuple

import paddle
import paddle.nn.functional as F
from pydantic import Field

from ppcls.labels import LabelKind, Labels
from ppcls.loss.base import Loss, distributions
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
        logits, known = _softened(outputs, taught, self.temperature)
        divergence = _divergence(known, logits)
        if self.symmetric:
            divergence = (divergence + _divergence(logits, known)) / 2
        return self.weight * self.temperature**2 * divergence / logits.shape[0]


def _softened(
    outputs: Outputs, taught: Any, temperature: float
) -> Tuple[paddle.Tensor, paddle.Tensor]:
    """Return the logits of a network and those of its teacher, divided by the temperature."""
    logits = main_logits(outputs)
    return logits / temperature, main_logits(taught).astype(logits.dtype) / temperature


def _divergence(one: paddle.Tensor, other: paddle.Tensor) -> paddle.Tensor:
    """Return KL(one || other) of the softmax of logits [n, classes], summed over all."""
    # The order in which Paddle's function has it: KL of the second from the first.
    return F.kl_div(F.log_softmax(other), F.softmax(one), reduction="sum")


@register("loss")
class DKDLoss(Loss):
    """Decoupled knowledge distillation: what a teacher says of the right class, and what it says of
    the others, count apart: the mean over the batch of temperature^2 (`alpha` KL of right and
    wrong (target class, TCKD) + `beta` KL among the other classes (non-target classes, NCKD)),
    times `weight`.

    Zhao, Cui, Song, Qiu, Liang 2022, "Decoupled Knowledge Distillation", arXiv:2203.08679. In
    `DistillationLoss` the second part counts less the surer the teacher is. The paper takes
    `alpha` 1 and `beta` 8 for small images, 1 and 0.5 for ImageNet's.

    Args:
        weight: what the mean is multiplied by in a sum of losses.
        temperature: the higher, the more the smaller probabilities count.
        alpha: what the divergence of (right class, all others) is multiplied by.
        beta: what the divergence among the other classes is multiplied by.
    """

    needs_teacher = True

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        temperature: Annotated[float, Field(gt=0)] = 1.0,
        alpha: Annotated[float, Field(ge=0)] = 1.0,
        beta: Annotated[float, Field(ge=0)] = 1.0,
    ) -> None:
        super().__init__()
        self.weight, self.temperature, self.alpha, self.beta = weight, temperature, alpha, beta

    def forward(self, outputs: Outputs, labels: Labels, taught: Any = None) -> paddle.Tensor:
        """Return the weighted loss.

        Args:
            outputs: see `Loss.forward`.
            labels: hard ones.
            taught: the teacher's logits [n, classes].
        """
        logits, known = _softened(outputs, taught, self.temperature)
        right = F.one_hot(labels.values, logits.shape[-1]).astype(logits.dtype)
        (own, own_rest), (far, far_rest) = (_decoupled(one, right) for one in (logits, known))
        of_right = (far.exp() * (far - own)).sum()
        of_rest = (far_rest.exp() * (far_rest - own_rest)).sum()
        total = self.alpha * of_right + self.beta * of_rest
        return self.weight * self.temperature**2 * total / logits.shape[0]


def _decoupled(logits: paddle.Tensor, right: paddle.Tensor) -> Tuple[paddle.Tensor, paddle.Tensor]:
    """Return the logarithms of the probabilities of the right class and of all others together
    [n, 2], and of those of each other class among the others [n, classes].

    Args:
        logits: [n, classes].
        right: 1 at the right class, 0 elsewhere, [n, classes].
    """
    others = logits - _NEVER * right
    among = paddle.logsumexp(others, axis=1, keepdim=True)
    both = paddle.concat([(logits * right).sum(axis=1, keepdim=True), among], axis=1)
    return F.log_softmax(both), others - among


_NEVER = 1000.0
"""What makes a class impossible when it is taken from its logit, in float32 too."""


@register("loss")
class DISTLoss(Loss):
    """How badly a network's probabilities correlate with its teacher's: temperature^2 (`beta` (1 -
    Pearson's correlation over the classes of an image: inter-class) + `gamma` (1 - that over the
    images of a class: intra-class)), each a mean, times `weight`.

    Huang, You, Wang, Qian, Xu 2022, "Knowledge Distillation from A Stronger Teacher",
    arXiv:2205.10536: it is what the teacher prefers that is learnt, not how sure it is. The paper
    takes 2 for both factors beside a `CELoss` of weight 1. Labels play no part.

    Args:
        weight: what the sum is multiplied by in a sum of losses.
        beta: what the part of images is multiplied by.
        gamma: what the part of classes is multiplied by.
        temperature: the higher, the more the smaller probabilities count.
    """

    accepts = frozenset({LabelKind.HARD, LabelKind.SOFT})
    needs_teacher = True

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        beta: Annotated[float, Field(ge=0)] = 1.0,
        gamma: Annotated[float, Field(ge=0)] = 1.0,
        temperature: Annotated[float, Field(gt=0)] = 1.0,
    ) -> None:
        super().__init__()
        self.weight, self.beta, self.gamma, self.temperature = weight, beta, gamma, temperature

    def forward(self, outputs: Outputs, labels: Labels, taught: Any = None) -> paddle.Tensor:
        """Return the weighted loss; see `DistillationLoss.forward`."""
        logits, known = _softened(outputs, taught, self.temperature)
        own, far = F.softmax(logits), F.softmax(known)
        total = self.beta * (1 - _correlation(own, far, 1).mean())
        total = total + self.gamma * (1 - _correlation(own, far, 0).mean())
        return self.weight * self.temperature**2 * total


def _correlation(one: paddle.Tensor, other: paddle.Tensor, axis: int) -> paddle.Tensor:
    """Return Pearson's correlation along an axis; 0 where one does not vary."""
    one = one - one.mean(axis=axis, keepdim=True)
    other = other - other.mean(axis=axis, keepdim=True)
    spread = (one * one).sum(axis=axis) * (other * other).sum(axis=axis)
    return (one * other).sum(axis=axis) / (spread + _FLAT).sqrt()


_FLAT = 1e-16
"""Added to the product of two variances, so that none is divided by 0."""


@register("loss")
class WSLLoss(Loss):
    """Cross-entropy with a teacher's probabilities, where each image counts the more the worse the
    network is compared with the teacher: the mean of temperature^2 (1 - exp(-c / t)) H(teacher,
    network), times `weight`; c and t are the cross-entropies of the two with the labels.

    Zhou, Song, Chen, Zhou, Wang, Yuan, Zhang 2021, "Rethinking Soft Labels for Knowledge
    Distillation: A Bias-Variance Tradeoff Perspective", arXiv:2102.00650. The paper takes `weight`
    2.5 and temperature 2 beside a `CELoss`.

    Args:
        weight: what the mean is multiplied by in a sum of losses.
        temperature: the higher, the more the smaller probabilities count.
    """

    accepts = frozenset({LabelKind.HARD, LabelKind.SOFT})
    needs_teacher = True

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        temperature: Annotated[float, Field(gt=0)] = 2.0,
    ) -> None:
        super().__init__()
        self.weight, self.temperature = weight, temperature

    def forward(self, outputs: Outputs, labels: Labels, taught: Any = None) -> paddle.Tensor:
        """Return the weighted loss.

        Args:
            outputs: see `Loss.forward`.
            labels: hard or soft ones.
            taught: the teacher's logits [n, classes].
        """
        logits = main_logits(outputs)
        known = main_logits(taught).astype(logits.dtype)
        target = distributions(labels, logits.shape[-1])
        with paddle.no_grad():
            own, far = (-(target * F.log_softmax(one)).sum(axis=1) for one in (logits, known))
            count = 1 - (-own / (far + _SURE)).exp()
        soft = F.softmax(known / self.temperature)
        entropy = -(soft * F.log_softmax(logits / self.temperature)).sum(axis=1)
        return self.weight * self.temperature**2 * (count * entropy).mean()


_SURE = 1e-7
"""Added to a teacher's cross-entropy, which is 0 where it is sure and right."""
