"""The temperature that makes a network's probabilities as likely as they can be.

C. Guo et al.: On Calibration of Modern Neural Networks, ICML 2017. Every logit is divided by one
number, so that the order of the classes stays. It is found by maximum likelihood on images that the
network was not trained with.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Optional, Tuple

import numpy as np

from ppcls.inference.calibrated import LEAST_PROBABILITY, tempered

LOWEST, HIGHEST = 0.05, 20.0
"""Between what temperatures are looked for; those of real networks lie between 0.5 and 4."""

_Z = 1.959963984540054


class Fit(NamedTuple):
    """A temperature, and its 95 % confidence interval; no upper end where too little is known."""

    temperature: float
    interval: Tuple[float, Optional[float]]
    doubt: str
    """Why this is no calibration, in words; empty where it is one."""


def fit_temperature(probabilities: np.ndarray, classes: np.ndarray) -> Fit:
    """Return the temperature with the smallest log loss.

    Where every image is right the log loss falls for ever as scores go to 1, which says nothing of
    other images: the temperature stays 1.

    Args:
        probabilities: of a network, float [n, classes].
        classes: the true ones, int64 [n].
    """
    from scipy.optimize import minimize_scalar

    if (probabilities.argmax(axis=1) == classes).all():
        return Fit(1.0, (1.0, 1.0), "all images are right, so none says how wrong scores can be")
    found = minimize_scalar(
        lambda log: log_loss_of(tempered(probabilities, math.exp(log)), classes),
        bounds=(math.log(LOWEST), math.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    temperature = math.exp(found.x)
    at_end = not LOWEST * 1.001 < temperature < HIGHEST * 0.999
    doubt = "it lies at the end of what is looked for; is this the right set of images?"
    return Fit(temperature, _interval(probabilities, temperature), doubt if at_end else "")


def log_loss_of(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """Return the mean of -log(probability of the true class); float [n, classes], int64 [n]."""
    true = probabilities[np.arange(len(classes)), classes].astype(np.float64)
    return float(-np.log(np.maximum(true, LEAST_PROBABILITY)).mean())


def _interval(probabilities: np.ndarray, temperature: float) -> Tuple[float, Optional[float]]:
    """Return Wald's interval of 1 / temperature, in which the log loss is convex: its second
    derivative there is the variance of the logits under the predicted distribution.
    """
    logs = np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY))
    weights = tempered(probabilities, temperature)
    means = (weights * logs).sum(axis=1, keepdims=True)
    information = float((weights * (logs - means) ** 2).sum())
    margin = _Z / math.sqrt(information) if information > 0 else math.inf
    inverse = 1 / temperature
    return 1 / (inverse + margin), 1 / (inverse - margin) if inverse > margin else None
