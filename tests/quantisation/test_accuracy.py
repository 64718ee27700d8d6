"""Changes of accuracy against hand calculation and other implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.quantisation.accuracy import Change, change_of


def change(images: int, lost: int, gained: int) -> Change:
    return Change(images, 0.9, 0.9, 1.0, 1.0, 1.0, lost, gained)


def test_change_by_hand() -> None:
    """Five images of six classes: right/right, right/wrong, wrong/right, wrong/wrong twice."""
    classes = np.array([0, 1, 2, 3, 4])
    before = np.eye(6)[[0, 1, 0, 0, 5]]
    after = np.eye(6)[[0, 2, 2, 0, 3]]
    found = change_of(before, after, classes)
    assert (found.top1_before, found.top1_after) == (2 / 5, 2 / 5)
    assert (found.lost, found.gained, found.drop) == (1, 1, 0)
    assert found.agreement == 2 / 5  # the first and the fourth


def test_top5_by_hand() -> None:
    """The true class is the fifth of six, then the sixth."""
    row = np.array([0.3, 0.25, 0.2, 0.15, 0.06, 0.04])
    found = change_of(np.stack([row, row]), np.stack([row[::-1], row]), np.array([4, 5]))
    assert (found.top5_before, found.top5_after) == (1 / 2, 1 / 2)


def test_interval_by_hand() -> None:
    """n = 100, 5 lost, 2 gained: (6 - 3) / 102 with a variance of (6/102 + 3/102 - d^2) / 102."""
    low, high = change(100, 5, 2).interval
    centre = 3 / 102
    margin = 1.96 * math.sqrt((9 / 102 - centre**2) / 102)
    assert low == pytest.approx(centre - margin, abs=1e-5)
    assert high == pytest.approx(centre + margin, abs=1e-5)


def test_few_images_prove_little() -> None:
    """Nothing changed on 50 images: the interval still has a width of 0.1."""
    low, high = change(50, 0, 0).interval
    assert low == -high and high == pytest.approx(1.96 * math.sqrt(2 / 52 / 52), abs=1e-5)


@pytest.mark.slow
def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of 4,000 sets of 200 images, of which 3 % are lost and 1 % gained, about 95 % hold 2 %."""
    drawn = np.random.default_rng(0).multinomial(200, [0.03, 0.01, 0.96], size=4000)
    intervals = [change(200, int(lost), int(gained)).interval for lost, gained, _ in drawn]
    covered = np.mean([low <= 0.02 <= high for low, high in intervals])
    assert 0.93 <= covered <= 0.98


@given(st.integers(1, 5000), st.data())
def test_interval_holds_the_drop_and_shrinks(images: int, data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, images))
    gained = data.draw(st.integers(0, images - lost))
    found, more = change(images, lost, gained), change(images * 10, lost * 10, gained * 10)
    assert -1 <= found.interval[0] <= found.drop <= found.interval[1] <= 1
    assert np.ptp(more.interval) < np.ptp(found.interval)


def test_images_needed_prove_it() -> None:
    """Of 1,000 images 20 are lost and 15 gained: with as many as are needed, the limit is met."""
    found = change(1000, 20, 15)
    needed = found.images_needed(0.01)
    assert needed is not None and needed > 1000 and found.interval[1] > 0.01
    scale = needed / 1000
    high = change(needed, round(20 * scale), round(15 * scale)).interval[1]
    assert high == pytest.approx(0.01, abs=0.001)
    assert change(1000, 20, 5).images_needed(0.01) is None
