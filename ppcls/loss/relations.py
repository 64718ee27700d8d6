"""Learning how a teacher's features of images relate to each other."""

from __future__ import annotations

from typing import Annotated, Any

import paddle
import paddle.nn.functional as F
from pydantic import Field

from ppcls.labels import LabelKind, Labels
from ppcls.loss.base import Loss
from ppcls.loss.outputs import Outputs
from ppcls.registry import register

_CLOSE = 1e-12
"""A squared distance of two images below which they count as equal: its root has no gradient."""


@register("loss")
class RKDLoss(Loss):
    """How much the distances and the angles between a network's features of the images of a batch
    differ from those between its teacher's: relational knowledge distillation, distance-wise
    (RKD-D) and angle-wise (RKD-A).

    Park, Kim, Lu, Cho 2019, "Relational Knowledge Distillation", arXiv:1904.05068. Features are
    what goes into the last layer, of any length: both networks may differ in it. Distances of all
    pairs are divided by their mean; the angle of three images is taken by its cosine. Differences
    count by Huber's loss, averaged over pairs and triplets of distinct images. Memory grows with
    the cube of the batch size: some 0.1 GB for each of about ten tensors of 256 images.

    Args:
        weight: what the sum of both is multiplied by in a sum of losses.
        distance: what the loss of distances is multiplied by.
        angle: what the loss of angles is multiplied by.
    """

    accepts = frozenset({LabelKind.HARD, LabelKind.SOFT})
    needs_teacher = True
    needs_features = True

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        distance: Annotated[float, Field(ge=0)] = 1.0,
        angle: Annotated[float, Field(ge=0)] = 2.0,
    ) -> None:
        super().__init__()
        self.weight, self.distance, self.angle = weight, distance, angle

    def forward(
        self, outputs: Outputs, labels: Labels, taught: Any = None, features: Any = None
    ) -> paddle.Tensor:
        """Return the weighted loss; 0 for a single image, and no part of angles for two.

        Args:
            outputs: of no use here.
            labels: of no use here.
            taught: of no use here.
            features: those of the network [n, d] and of its teacher [n, e].
        """
        # Half precision has no numbers for squares of large features and of small distances.
        with paddle.amp.auto_cast(enable=False):
            own, known = (_gram(one) for one in features)
            count = own.shape[0]
            total = 0.0 * own.sum()
            if count > 1 and self.distance:
                total = total + self.distance * _of_distances(own, known)
            if count > 2 and self.angle:
                total = total + self.angle * _of_angles(own, known)
            return self.weight * total


def _gram(features: paddle.Tensor) -> paddle.Tensor:
    """Return the products [n, n] of features [n, d], which all distances and angles follow from."""
    centred = features.astype("float32")
    centred = centred - centred.mean(axis=0, keepdim=True)
    return paddle.matmul(centred, centred, transpose_y=True)


def _distances(gram: paddle.Tensor) -> paddle.Tensor:
    squares = paddle.diag(gram)
    return (squares.unsqueeze(1) + squares.unsqueeze(0) - 2 * gram).clip(min=_CLOSE).sqrt()


def _distinct(count: int) -> paddle.Tensor:
    return 1 - paddle.eye(count)


def _of_distances(own: paddle.Tensor, known: paddle.Tensor) -> paddle.Tensor:
    count = own.shape[0]
    pairs = _distinct(count)

    def relative(gram: paddle.Tensor) -> paddle.Tensor:
        distances = _distances(gram) * pairs
        return distances / (distances.sum() / (count * (count - 1)))

    differences = F.smooth_l1_loss(relative(own), relative(known), reduction="none")
    return differences.sum() / (count * (count - 1))


def _of_angles(own: paddle.Tensor, known: paddle.Tensor) -> paddle.Tensor:
    count = own.shape[0]
    pairs = _distinct(count)
    # [j, i, k]: the angle at j between i and k, all three of them distinct.
    triplets = pairs.unsqueeze(2) * pairs.unsqueeze(1) * pairs.unsqueeze(0)
    differences = F.smooth_l1_loss(
        _cosines(own) * triplets, _cosines(known) * triplets, reduction="none"
    )
    return differences.sum() / (count * (count - 1) * (count - 2))


def _cosines(gram: paddle.Tensor) -> paddle.Tensor:
    """Return the cosines [j, i, k] of the angles at j between i and k."""
    squares = paddle.diag(gram)
    products = (
        gram.unsqueeze(0) - gram.unsqueeze(2) - gram.unsqueeze(1) + squares.reshape([-1, 1, 1])
    )
    distances = _distances(gram)
    return products / (distances.unsqueeze(2) * distances.unsqueeze(1))
