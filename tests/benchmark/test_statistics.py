"""Quantiles and their intervals, against SciPy, by hand, and by drawing many samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ppcls.benchmark.statistics import (
    early_stopping_estimate,
    paired_ratio,
    quantile,
    smallest_sample,
    variation,
)

has_quantile_test = pytest.mark.skipif(
    not hasattr(stats, "quantile_test"), reason="SciPy has quantile_test since 1.12"
)


@has_quantile_test
@pytest.mark.slow
@given(
    st.lists(st.floats(0, 1e3), min_size=368, max_size=900),
    st.sampled_from([50.0, 90.0, 97.5, 99.0]),
)
def test_intervals_are_those_of_scipy(values: list[float], percent: float) -> None:
    found = quantile(values, percent)
    test = stats.quantile_test(values, q=0, p=percent / 100)
    interval = test.confidence_interval(0.95)
    assert (found.low, found.high) == (interval.low, interval.high)
    assert found.value == np.quantile(values, percent / 100, method="inverted_cdf")


@has_quantile_test
@pytest.mark.parametrize(("percent", "least"), [(50, 6), (90, 36), (99, 368), (99.9, 3688)])
def test_too_few_values_give_a_reason_instead(percent: float, least: int) -> None:
    assert smallest_sample(percent) == least
    refused = quantile([1.0] * (least - 1), percent)
    assert refused.value is None and refused.low is None
    assert refused.reason == f"n = {least - 1}, and p{percent:g} needs {least}"
    # The interval of the smallest sample ends at its largest value, as SciPy finds too.
    values = list(range(least))
    assert quantile(values, percent).high == least - 1
    fewer = stats.quantile_test(values[:-1], q=0, p=percent / 100).confidence_interval(0.95)
    assert not np.isfinite([fewer.low, fewer.high]).all()


def test_ranks_by_hand() -> None:
    """Of 100 values 0 to 99, p90 is the 90th; 84 to 96 hold it with 95 %: binom(100, 0.9)."""
    found = quantile(list(range(100)), 90)
    assert found.value == 89
    assert stats.binom.cdf(int(found.low or 0), 100, 0.9) <= 0.025
    assert stats.binom.cdf(int(found.high or 0), 100, 0.9) >= 0.975


@pytest.mark.slow
def test_intervals_hold_the_true_quantile_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    true = stats.gamma(2).ppf(0.9)
    found = [quantile(rng.gamma(2, size=100).tolist(), 90) for _ in range(1500)]
    hits = [one.low <= true <= one.high for one in found if one.low and one.high]
    assert 0.94 < np.mean(hits) < 0.99


def test_early_stopping_is_that_of_the_load_generator() -> None:
    """mlperf_loadgen 6.0.17 said of 200 queries "would discard 9 highest", and of 64 "at least"."""
    values = list(range(200))
    assert early_stopping_estimate(values, 90) == sorted(values)[200 - 1 - 9]
    assert early_stopping_estimate(values[:63], 90) is None
    assert early_stopping_estimate(values[:64], 90) == 63
    many = list(range(662))
    assert early_stopping_estimate(many[:661], 99) is None
    assert early_stopping_estimate(many, 99) == 661


def test_variation_by_hand() -> None:
    assert variation([1.0]) is None
    assert variation([2.0, 4.0]) == pytest.approx(2**0.5 / 3)


def test_ratios_are_paired() -> None:
    """A machine that is twice as slow for a while slows both sides of a pair."""
    load = np.array([1, 1, 2, 2, 1, 5, 1])
    found = paired_ratio((1.02 * load).tolist(), load.tolist())
    assert found.value == pytest.approx(1.02)
    assert found.low == pytest.approx(1.02) and found.high == pytest.approx(1.02)
    assert paired_ratio([1.0] * 5, [1.0] * 5).value is None
