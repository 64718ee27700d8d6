"""Which learning rates are of use, from made and from real losses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from ppcls.engine.lr_finder import (
    RateSearch,
    averaged_around,
    has_exploded,
    moving_average,
    suggested_rate,
)

RATES = np.geomspace(1e-6, 10, 140).tolist()


def curve(falls_at: float, noise: float = 0.0) -> List[float]:
    """Losses that go from 2.3 to 0.3, fastest at a rate, and explode at 100 times that rate."""
    tens = np.log10(np.array(RATES) / falls_at)
    varied = np.random.default_rng(1).normal(0, noise, len(RATES))
    losses = 0.3 + 2 / (1 + np.exp(4 * tens)) + np.exp(4 * (tens - 2)) + varied
    return losses.tolist()


@pytest.mark.parametrize("rate", [1e-3, 0.03, 0.2])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_rate_is_where_the_loss_falls_fastest(rate: float, noise: float) -> None:
    found = suggested_rate(RATES, curve(rate, noise))
    assert found is not None and abs(np.log10(found / rate)) < (0.3 if noise else 0.1)


def test_a_fall_from_bad_first_weights_is_not_taken_for_learning() -> None:
    tens = np.log10(np.array(RATES))
    losses = curve(0.05) + 3 / (1 + np.exp(8 * (tens + 4.5)))
    found = suggested_rate(RATES, losses.tolist())
    lowest = RATES[int(np.argmin(averaged_around(losses.tolist())))]
    assert found == pytest.approx(lowest / 10) and 0.01 < found < 0.1


def test_noise_is_no_fall() -> None:
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(2.3, 0.1, len(RATES)).tolist()
        assert suggested_rate(RATES, noise) is None
    assert suggested_rate(RATES, [2.3] * len(RATES)) is None
    assert suggested_rate(RATES[:5], curve(1e-3)[:5]) is None
    text = RateSearch(RATES, noise, False, 0.1).summary()
    assert "falls at none of these rates" in text and "the recipe's highest is 0.1" in text


def test_smoothing_has_no_bias_and_explosions_are_seen() -> None:
    np.testing.assert_allclose(moving_average([2.0] * 5), 2.0)
    np.testing.assert_allclose(moving_average([1.0, 3.0]), [1.0, (0.09 + 0.3) / 0.19])
    np.testing.assert_allclose(averaged_around([2.0] * 5), 2.0)
    # A line stays a line, but for its ends.
    np.testing.assert_allclose(averaged_around(list(range(60)))[20:40], range(20, 40), atol=1e-4)
    steady: List[float] = [1.0] * 12
    assert not has_exploded(steady) and not has_exploded([1.0, 100.0])
    assert has_exploded([*steady, 100.0])


@pytest.mark.slow
def test_a_recipe_is_tried_and_its_run_not_touched(
    recipe: Dict[str, Any], ppcls: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    output = Path(recipe["Global"]["output_dir"])
    assert ppcls("train", recipe, "--find-lr") == 0
    assert not output.exists()
    text = capsys.readouterr().out
    rate = float(re.findall(r"-o Optimizer\.lr\.learning_rate=(\S+)", text)[0])
    assert 1e-3 < rate < 2 and "the recipe's highest is 0.05" in text
    assert text.count("\n") < 25
    best = []
    for value in (rate, rate / 1000):
        changes = ["-o", f"Optimizer.lr.learning_rate={value}", "Global.epochs=12"]
        assert ppcls("train", recipe, "--overwrite", *changes) == 0
        found = re.findall(r"best top1: ([\d.]+)%", (output / "train.log").read_text())
        best.append(float(found[-1]))
    assert best[0] > best[1] + 20
    assert ppcls("train", recipe, "--find-lr", "--dry-run") == 2
    assert "one at a time" in capsys.readouterr().err
