"""Images whose label is probably wrong, by confident learning (Northcutt, Jiang and Chuang,
"Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, 2021).
"""

from __future__ import annotations

import warnings
from typing import Any, List, NamedTuple, Optional, Sequence

import numpy as np

FOLDS = 5
"""How many parts the images are cut into; the labels of one are judged by the others."""

_PENALTY = 2.0
"""The inverse strength of the penalty on the weights of the linear head, shared by its inputs, so
that as much is allowed of wide embeddings as of narrow ones. It is strong, since the head must not
learn single images, of which some are labelled wrongly.
"""

_FRACTION = 10
"""Of so many images one may be listed in any case: where few are labelled wrongly, the joint counts
too few.
"""

_MOST_WEIGHTS, _FEWER = 200_000, 128
"""Above how many weights of the head it works on so many main components, to end in time."""


class LabelIssue(NamedTuple):
    """An image whose label is doubtful.

    Attributes:
        row: its row in the arrays that were searched.
        suggested: its most probable class.
        confidence: the probability of its label (self-confidence): the lower, the more certain is
            the mistake.
    """

    row: int
    suggested: int
    confidence: float


def find_label_issues(labels: np.ndarray, probabilities: np.ndarray) -> List[LabelIssue]:
    """Return images that are probably of another class than their label says, the most certain
    mistakes first.

    The paper's confident joint tells how many labels are wrong; so many images are listed, or a
    tenth of all if that is more, those whose label is the least probable ("self-confidence"), as
    long as another class is more probable. Of labels that were changed on purpose, this finds more
    than as many for each pair of classes as the joint says ("prune by noise rate").

    Args:
        labels: int64 [n].
        probabilities: float [n, classes], by a model that has not learnt from the image itself.
            Rows of nan are not judged.
    """
    judged = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    given, p = labels[judged], probabilities[judged].astype(np.float64)
    counts = estimated_joint(given, p)
    most = max(round(counts.sum() - np.trace(counts)), len(given) // _FRACTION)
    # A class without an image is no suggestion.
    known = np.bincount(given, minlength=p.shape[1]) > 0
    best = np.where(known, p, -1.0).argmax(axis=1)
    confidence = p[np.arange(len(given)), given]
    doubted = np.flatnonzero(best != given)
    doubted = doubted[np.argsort(confidence[doubted], kind="stable")][:most]
    return [LabelIssue(int(judged[i]), int(best[i]), float(confidence[i])) for i in doubted]


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
    embeddings: np.ndarray,
    labels: np.ndarray,
    classes: int,
    mirrored: Optional[np.ndarray] = None,
    seed: int = 0,
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
        mirrored: float32 [n, width], those of the images turned left to right: the head learns from
            both, and the mean of what it says of both counts. None without.
        seed: of the division into folds.
    """
    from sklearn.model_selection import StratifiedKFold

    found = np.full((len(labels), classes), np.nan, np.float32)
    counts = np.bincount(labels, minlength=classes)
    kept = np.flatnonzero(counts[labels] >= 2)
    known = np.unique(labels[kept])
    if len(known) < 2:
        return found
    folds = StratifiedKFold(int(min(FOLDS, counts[known].min())), shuffle=True, random_state=seed)
    views = [embeddings[kept], *([] if mirrored is None else [mirrored[kept]])]
    found[kept] = 0.0
    untaught = _linear_head(views[0], len(known), len(views))
    for learnt, judged in folds.split(views[0], labels[kept]):
        head = _fitted(untaught, [view[learnt] for view in views], labels[kept][learnt])
        answers = [head.predict_proba(view[judged]) for view in views]
        found[np.ix_(kept[judged], known)] = np.mean(answers, axis=0)
    return found


def _fitted(head: Any, views: Sequence[np.ndarray], labels: np.ndarray) -> Any:
    """Return a copy of a head that has learnt from several views of the same images."""
    from sklearn.base import clone

    with warnings.catch_warnings():
        # A head that has not converged to the last digit judges as well.
        warnings.simplefilter("ignore")
        return clone(head).fit(np.concatenate(views), np.tile(labels, len(views)))


def _linear_head(embeddings: np.ndarray, classes: int, views: int = 1) -> Any:
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
    # The sum over views is as large as the mean over them would be with this.
    penalty = _PENALTY / width / views
    return make_pipeline(*steps, LogisticRegression(C=penalty, max_iter=200))
