"""Scores of a calibrated bundle, and the answer "unknown"."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np

from ppcls.inference.description import CalibrationKeys
from ppcls.inference.postprocess import Ranking, Topk

LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""What counts as probability where float32 has come to 0, whose logarithm is infinite."""


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(log(probabilities) / temperature), float64 [n, classes], which is the softmax
    of the logits divided by the temperature (C. Guo et al.: On Calibration of Modern Neural
    Networks, ICML 2017).
    """
    logs = np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


class CalibratedTopk(Topk):
    """The most probable classes, in the order in which the network has them, with calibrated
    scores; doubtful where the first one's score is below the threshold of its class.
    """

    def __init__(self, topk: int, labels: Sequence[str], calibration: CalibrationKeys) -> None:
        super().__init__(topk, label_list=list(labels))
        self._temperature = calibration.temperature
        overall = [calibration.threshold] * len(labels)
        self._thresholds = calibration.class_thresholds or overall

    def __call__(self, probabilities: np.ndarray) -> List[Ranking]:
        """Rank the classes of each row, float [n, classes]."""
        rankings = super().__call__(probabilities)
        scores = tempered(probabilities, self._temperature) if rankings else probabilities
        return [self._calibrated(ranking, row) for ranking, row in zip(rankings, scores)]

    def _calibrated(self, ranking: Ranking, row: np.ndarray) -> Ranking:
        found = [float(row[index]) for index in ranking.class_ids]
        is_doubtful = found[0] < self._thresholds[ranking.class_ids[0]]
        return ranking._replace(scores=found, is_doubtful=is_doubtful)
