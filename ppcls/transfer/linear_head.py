"""A linear classifier on features, as the last layer of a network.

Logistic regression with an L2 penalty whose strength is chosen by cross-validation on the training
images alone; what is held back only judges. For the fit, features get the same length, which helps
most where a class has few images (Chen et al. 2019, arXiv:1904.04232), are centred, and scaled by
one factor, so that a strength means the same for every network. The layer takes in the factor and
the centre, and the usual length in place of each image's own.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, List, Optional, Tuple

import numpy as np

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""The values of scikit-learn's C, of which one is chosen; features have the mean square norm 1."""

FOLDS = 5
MOST_WORK = 1e8
"""Images times features times classes up to which logistic regression takes seconds; beyond it,
linear discriminant analysis takes its place.
"""

_ITERATIONS = 200


@dataclass(frozen=True)
class LinearHead:
    """A last layer: logits are ``features @ weight + bias``.

    Attributes:
        weight: float32 [features, classes].
        bias: float32 [classes].
        strength: the C that was chosen.
        accuracy: in cross-validation with it, 0 to 1; None where there were too few images.
        likelihood: the mean log-likelihood of the images there; it tells heads on few images apart
            more surely than the accuracy.
    """

    weight: np.ndarray
    bias: np.ndarray
    strength: float
    accuracy: Optional[float]
    likelihood: Optional[float]

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return float32 [n, classes] of features [n, d]."""
        found: np.ndarray = features @ self.weight + self.bias
        return found


def fit_linear_head(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    views: int = 1,
    seed: int = 0,
    groups: Optional[np.ndarray] = None,
    strength: Optional[float] = None,
) -> LinearHead:
    """Fit a linear head.

    Args:
        features: float [n, d].
        labels: int [n], from 0 to `classes` - 1; classes may be missing, and are never answered.
        classes: how many there are.
        views: how often each image is there, one set of views after the other; cross-validation
            keeps those of an image together, and judges by the first.
        seed: of the folds.
        groups: int [n / views], the group of each image; cross-validation judges by groups that
            it has not learnt from. None where images do not belong together.
        strength: a value of `STRENGTHS` that was chosen before; None chooses by cross-validation.
    """
    is_large = features.size * classes > MOST_WORK
    lengths = np.sqrt(np.einsum("ij,ij->i", features, features, dtype=np.float64))
    usual = float(lengths.mean()) or 1.0
    # Of large sets there is one copy, in half the memory.
    kind = np.float32 if is_large else np.float64
    rows = np.divide(features, np.maximum(lengths, 1e-12 * usual)[:, None].astype(kind), dtype=kind)
    mean = rows.mean(axis=0, dtype=np.float64)
    rows -= mean.astype(kind)
    scale = float(np.sqrt(np.einsum("ij,ij->", rows, rows, dtype=np.float64) / len(rows))) or 1.0
    rows /= kind(scale)
    if is_large:
        weight, bias = _discriminant(rows, labels, classes)
        strength, accuracy, likelihood = 0.0, None, None
    else:
        rows, basis = _rotated(rows)
        accuracy, likelihood = None, None
        if strength is None:
            strength, accuracy, likelihood = _chosen(rows, labels, views, seed, groups)
        weight, bias = _fit(rows, labels, classes, strength)
        weight = basis @ weight
    weight = weight / scale
    bias = bias - mean @ weight
    weight = weight / usual
    arrays = weight.astype(np.float32), bias.astype(np.float32)
    return LinearHead(*arrays, strength, accuracy, likelihood)


def _rotated(rows: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return the rows in an orthonormal basis [d, k] of what they span: an L2 penalty does not
    see the difference, and few images make few columns.
    """
    if len(rows) >= rows.shape[1]:
        return rows, np.eye(rows.shape[1])
    _, values, basis = np.linalg.svd(rows, full_matrices=False)
    basis = basis[values > values[0] * 1e-6].T if len(values) and values[0] > 0 else basis[:1].T
    return rows @ basis, basis


def _chosen(
    rows: np.ndarray, labels: np.ndarray, views: int, seed: int, groups: Optional[np.ndarray]
) -> Tuple[float, Optional[float], Optional[float]]:
    """Return the strength with the best log-likelihood in cross-validation, its accuracy, and that
    likelihood.
    """
    images = len(labels) // views
    folds = _folds(labels[:images], seed, groups)
    if not folds:
        return STRENGTHS[len(STRENGTHS) // 2], None, None
    classes, truth = int(labels.max()) + 1, labels[:images]
    results = []
    for strength in STRENGTHS:
        logits = np.empty((images, classes))
        for learnt, judged in folds:
            taken = np.concatenate([learnt + view * images for view in range(views)])
            weight, bias = _fit(rows[taken], labels[taken], classes, strength)
            logits[judged] = rows[judged] @ weight + bias
        right = float((logits.argmax(axis=1) == truth).mean())
        results.append((_log_likelihood(logits, truth), right, strength))
    likelihood, accuracy, strength = max(results)
    return strength, accuracy, likelihood


def _folds(
    labels: np.ndarray, seed: int, groups: Optional[np.ndarray]
) -> List[Tuple[np.ndarray, np.ndarray]]:
    """Return (learnt, judged) for each fold; none where a class has a single image, or group."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = np.arange(len(labels)) if groups is None else groups
    counts = np.bincount(np.unique(np.stack([labels, alone]), axis=1)[0])
    fewest = int(counts[counts > 0].min())
    if fewest < 2 or (counts > 0).sum() < 2:
        return []
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(min(FOLDS, fewest), shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(labels)), labels, groups))


def _log_likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    from scipy.special import log_softmax

    return float(log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def _fit(
    rows: np.ndarray,
    labels: np.ndarray,
    classes: int,
    strength: float,
) -> Tuple[np.ndarray, np.ndarray]:
    """Return weight [k, classes] and bias [classes] of scikit-learn's logistic regression."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=1e-3)
    with warnings.catch_warnings():
        # A fit that is stopped early is penalised a little more, which cross-validation sees.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, labels)
    return _of_all_classes(model, rows.shape[1], classes)


def _discriminant(
    rows: np.ndarray, labels: np.ndarray, classes: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Return weight and bias of linear discriminant analysis, whose covariance is shrunk as Ledoit
    and Wolf say (2004): a closed form, for sets that iterations would take long for.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(rows, labels)
    return _of_all_classes(model, rows.shape[1], classes)


def _of_all_classes(model: Any, features: int, classes: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return the coefficients with columns for classes that had no image; they never win."""
    known, rows, offsets = model.classes_, model.coef_, model.intercept_
    if len(known) == 2:  # there is one row then, for the second
        rows = np.concatenate([-rows, rows]) / 2
        offsets = np.concatenate([-offsets, offsets]) / 2
    weight, bias = np.zeros((features, classes)), np.full(classes, offsets.min() - 20.0)
    weight[:, known], bias[known] = rows.T, offsets
    return weight, bias
