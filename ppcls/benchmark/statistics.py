"""What a sample of latencies says: quantiles with confidence intervals, spread, ratios.

No distribution is assumed. The number of observations below the true quantile is binomial, which
gives a quantile's interval as two order statistics (David, Nagaraja 2003, "Order Statistics",
section 7.1), and the smallest sample that has one.
"""

from __future__ import annotations

import math
from typing import Optional, Sequence, Tuple

import numpy as np

from ppcls.benchmark.results import Quantile

CONFIDENCE = 0.95
"""Of the intervals: how often one holds the true quantile, at least."""

EARLY_STOPPING_CONFIDENCE = 0.99
"""What MLPerf Inference takes, with a tolerance of 0."""

UNSTABLE = 0.1
"""Coefficient of variation above which a warning says so."""


def quantile(values: Sequence[float], percent: float) -> Quantile:
    """Return the smallest of `values` that `percent` of them do not exceed, with its interval.

    Without a value, but with the reason, where there are too few to have an interval.
    """
    count, needed = len(values), smallest_sample(percent)
    if count < needed:
        reason = f"n = {count}, and p{percent:g} needs {needed}"
        return Quantile(percent=percent, count=count, reason=reason)
    ordered = np.sort(np.asarray(values, dtype=float))
    low, high = _ranks(count, percent) or (1, count)
    middle = max(1, math.ceil(round(count * percent / 100, 9)))
    return Quantile(
        percent=percent,
        count=count,
        value=float(ordered[middle - 1]),
        low=float(ordered[low - 1]),
        high=float(ordered[high - 1]),
    )


def smallest_sample(percent: float) -> int:
    """Return how many values a quantile needs for an interval of `CONFIDENCE`.

    Both ends must be observed: not all values may lie below the quantile, nor all above it, but
    with half of the remaining probability.
    """
    tail = max(percent, 100 - percent) / 100
    return math.ceil(math.log((1 - CONFIDENCE) / 2) / math.log(tail))


def _ranks(count: int, percent: float) -> Optional[Tuple[int, int]]:
    """Return the places, from 1, of the order statistics that bound a quantile."""
    from scipy.stats import binom

    tail = (1 - CONFIDENCE) / 2
    low = int(binom.ppf(tail, count, percent / 100))
    high = int(binom.ppf(1 - tail, count, percent / 100)) + 1
    return (low, high) if low >= 1 and high <= count else None


def early_stopping_estimate(values: Sequence[float], percent: float) -> Optional[float]:
    """Return the latency that MLPerf Inference reports as the percentile of so many queries.

    It is a bound that the true percentile exceeds with a probability of 1 % at most; None where
    there are too few queries (64 for p90, 662 for p99).
    """
    from scipy.stats import binom

    count, over = len(values), 0
    while over < count and _is_sure(binom.cdf(over + 1, count, 1 - percent / 100)):
        over += 1
    return None if over == 0 else float(np.sort(np.asarray(values, dtype=float))[count - over])


def _is_sure(probability: float) -> bool:
    return bool(probability <= 1 - EARLY_STOPPING_CONFIDENCE)


def variation(values: Sequence[float]) -> Optional[float]:
    """Return the coefficient of variation: standard deviation over mean; None below two values."""
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1) / np.mean(values))


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Quantile:
    """Return the median of the ratios of what was measured side by side, turn by turn.

    A disturbance that lasts longer than a turn slows both down and leaves the ratio as it is.
    """
    return quantile([one / other for one, other in zip(ours, theirs)], 50)
