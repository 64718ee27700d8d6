"""Images whose label is probably wrong, by confident learning (Northcutt, Jiang and Chuang,
"Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, 2021).
"""

from __future__ import annotations

import warnings
from operator import attrgetter
from typing import Any, Iterator, List, NamedTuple, Set

import numpy as np

FOLDS = 5
"""How many parts the images are cut into; the labels of one are judged by the others."""

_PENALTY = 2.0
"""The inverse strength of the penalty on the weights of the linear head, shared by its inputs, so
that as much is allowed of wide embeddings as of narrow ones. It is strong, since the head must not
learn single images, of which some are labelled wrongly.
"""

_MOST_WEIGHTS, _FEWER = 200_000, 128
"""Above how many weights of the head it works on so many main components, to end in time."""


class LabelIssue(NamedTuple):
    """An image whose label is doubtful.

    Attributes:
        row: its row in the arrays that were searched.
        suggested: its most probable class.
        margin: the probability of its label less that of this class: the lower, the more certain
            is the mistake.
    """

    row: int
    suggested: int
    margin: float


def find_label_issues(labels: np.ndarray, probabilities: np.ndarray) -> List[LabelIssue]:
    """Return images that are probably of another class than their label says, the most certain
    mistakes first.

    The paper's confident joint tells how many images labelled i are of class j; so many of them are
    listed, those where j is ahead of i by the most ("prune by noise rate").

    Args:
        labels: int64 [n].
        probabilities: float [n, classes], by a model that has not learnt from the image itself.
            Rows of nan are not judged.
    """
    judged = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    given, p = labels[judged], probabilities[judged].astype(np.float64)
    counts = estimated_joint(given, p)
    doubted: Set[int] = set()
    for label, other in np.argwhere(counts >= 0.5).tolist():
        if label != other:
            doubted.update(_pruned(given, p, label, other, round(counts[label, other])))
    best = p.argmax(axis=1)
    issues = [
        LabelIssue(int(judged[row]), int(best[row]), float(p[row, given[row]] - p[row, best[row]]))
        for row in sorted(doubted)
    ]
    return sorted(issues, key=attrgetter("margin"))


def _pruned(
    labels: np.ndarray, probabilities: np.ndarray, label: int, other: int, count: int
) -> Iterator[int]:
    """Return rows labelled `label` for which `other` is ahead, by how much, `count` at most."""
    rows = np.flatnonzero(labels == label)
    margins = probabilities[rows, label] - probabilities[rows, other]
    return (int(rows[i]) for i in np.argsort(margins, kind="stable")[:count] if margins[i] < 0)


def estimated_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return how many images with the row's label are of the column's class, as far as can be told:
    float64 [classes, classes], whose rows add up to the number of images with the label.

    An image belongs to class j with confidence when its probability of j is at least the mean of
    that probability over the images labelled j; where that holds for several, the most probable
    counts. What this finds is scaled up to all images of each label.

    Args:
        labels: int64 [n].
        probabilities: float [n, classes].
    """
    classes = probabilities.shape[1]
    confident = np.where(probabilities >= _thresholds(labels, probabilities), probabilities, -1.0)
    counted = confident.max(axis=1, initial=-1.0) >= 0
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[counted], confident[counted].argmax(axis=1)), 1)
    sums = np.maximum(joint.sum(axis=1, keepdims=True), 1)
    scaled: np.ndarray = joint / sums * np.bincount(labels, minlength=classes)[:, None]
    return scaled


def _thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return each class's mean self-confidence; classes without an image are never suggested."""
    classes = probabilities.shape[1]
    means = np.full(classes, np.inf)
    for label in np.unique(labels):
        means[label] = probabilities[labels == label, label].mean()
    return means


def out_of_sample(
    embeddings: np.ndarray, labels: np.ndarray, classes: int, seed: int = 0
) -> np.ndarray:
    """Return probabilities [n, classes] of a linear head that has not seen the image: it is trained
    on the other folds, on embeddings of a network that stays as it is.

    The network itself has learnt its training images with their labels, right or wrong, so its own
    probabilities say little of them. Images of classes that have a single image get nan, and so do
    all where only one class has more.

    Args:
        embeddings: float32 [n, width].
        labels: int64 [n].
        classes: how many there are.
        seed: of the division into folds.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    found = np.full((len(labels), classes), np.nan, np.float32)
    counts = np.bincount(labels, minlength=classes)
    kept = np.flatnonzero(counts[labels] >= 2)
    known = np.unique(labels[kept])
    if len(known) < 2:
        return found
    folds = StratifiedKFold(int(min(FOLDS, counts[known].min())), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A head that has not converged to the last digit judges as well.
        warnings.simplefilter("ignore")
        predicted = cross_val_predict(
            _linear_head(embeddings[kept], len(known)),
            embeddings[kept],
            labels[kept],
            cv=folds,
            method="predict_proba",
        )
    found[kept] = 0.0
    found[np.ix_(kept, known)] = predicted
    return found


def _linear_head(embeddings: np.ndarray, classes: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    steps: List[Any] = [StandardScaler()]
    width = embeddings.shape[1]
    if width * classes > _MOST_WEIGHTS:
        # Half of the images at least train each head.
        width = min(_FEWER, len(embeddings) // 2, width)
        steps.append(PCA(width, random_state=0))
    return make_pipeline(*steps, LogisticRegression(C=_PENALTY / width, max_iter=200))
