"""Which keys of a schedule change with the length of training and with the batch size."""

from __future__ import annotations

import copy
from typing import Any, Dict, Tuple

import pytest

from ppcls.config import Config, as_config, with_values
from ppcls.engine.schedule_keys import lengths_changed, rates_changed
from ppcls.errors import ConfigError
from ppcls.registry import create, names

Values = Dict[Tuple[str, ...], Any]
LR = ("Optimizer", "lr")


def config_of(recipe: Dict[str, Any], lr: Any) -> Config:
    recipe = copy.deepcopy(recipe)
    recipe["Optimizer"]["lr"] = lr
    return as_config(recipe)


@pytest.mark.parametrize(
    ("lr", "expected"),
    [
        ({"name": "Cosine", "learning_rate": 0.1, "warmup_epoch": 5}, {}),
        ({"name": "Linear", "learning_rate": 0.1}, {}),
        ({"name": "OneCycle", "learning_rate": 0.1}, {}),
        (0.1, {}),
        (
            {"name": "Piecewise", "decay_epochs": [30, 60, 90], "values": [1, 0.1, 0.01, 0.001]},
            {(*LR, "decay_epochs"): [12, 24, 36]},
        ),
        (
            {"MultiStep": {"learning_rate": 0.1, "decay_epochs": [1, 50]}},
            {(*LR, "MultiStep", "decay_epochs"): [0.4, 20]},
        ),
        (
            {"name": "MultiStepDecay", "learning_rate": 0.1, "milestones": [7]},
            {(*LR, "milestones"): [2.8]},
        ),
        ({"name": "Step", "learning_rate": 0.1, "step_size": 30}, {(*LR, "step_size"): 12}),
        # 0.5 in each of 100 epochs is 0.5^2.5 in each of 40.
        (
            {"name": "Exponential", "learning_rate": 0.1, "gamma": 0.5},
            {(*LR, "gamma"): 0.5**2.5},
        ),
        (
            {
                "name": "Cyclic", "learning_rate": 0.1, "max_learning_rate": 1.0,
                "step_size_up": 10, "mode": "exp_range", "exp_gamma": 0.5,
            },
            {(*LR, "step_size_up"): 4, (*LR, "exp_gamma"): 0.5**2.5},
        ),
    ],
)  # fmt: skip
def test_epochs_are_shortened_in_proportion(
    recipe: Dict[str, Any], lr: Any, expected: Values
) -> None:
    config = config_of(recipe, lr)
    found = lengths_changed(config, 0.4)
    assert found == expected
    changed = with_values(config, found)
    assert changed.data["Optimizer"]["lr"] != lr or not expected
    assert config.data["Optimizer"]["lr"] == lr


def test_what_evaluation_decides_is_refused(recipe: Dict[str, Any]) -> None:
    config = config_of(recipe, {"name": "ReduceOnPlateau", "learning_rate": 0.1})
    with pytest.raises(ConfigError, match=r"^Optimizer\.lr\.name: ReduceOnPlateau lowers the rate"):
        lengths_changed(config, 0.5)


REQUIRED: Dict[str, Dict[str, Any]] = {
    "Piecewise": {"decay_epochs": [4, 10], "values": [0.3, 0.2, 0.05]},
    "MultiStep": {"learning_rate": 0.3, "decay_epochs": [4, 10]},
    "MultiStepDecay": {"learning_rate": 0.3, "milestones": [4, 10]},
    "Step": {"learning_rate": 0.3, "step_size": 4},
    "Exponential": {"learning_rate": 0.3, "gamma": 0.8},
    "Cyclic": {"learning_rate": 0.1, "max_learning_rate": 0.3, "step_size_up": 4},
}


@pytest.mark.parametrize("name", sorted(set(names("schedule")) - {"ReduceOnPlateau"}))
def test_a_shortened_schedule_has_the_same_shape(recipe: Dict[str, Any], name: str) -> None:
    """At every second step of the long one stands a step of the one of half the length."""
    arguments = REQUIRED.get(name, {"learning_rate": 0.3})
    config = config_of(recipe, {"name": name, **arguments})
    short = {path[-1]: value for path, value in lengths_changed(config, 0.5).items()}
    long = create("schedule", name, arguments, epochs=20, steps_per_epoch=50)
    half = create("schedule", name, {**arguments, **short}, epochs=10, steps_per_epoch=50)
    # Cosine, Linear and OneCycle reach their end one step after the last one, or at it.
    for step in range(500):
        assert half.at(step) == pytest.approx(long.at(2 * step), rel=0.02, abs=0.003)


@pytest.mark.parametrize(
    ("lr", "expected"),
    [
        (0.1, {LR: 0.4}),
        ({"learning_rate": 0.1}, {(*LR, "learning_rate"): 0.4}),
        ({"Cosine": {"learning_rate": 0.25}}, {(*LR, "Cosine", "learning_rate"): 1}),
        (
            {"name": "Cosine", "learning_rate": 0.1, "eta_min": 0.01, "warmup_start_lr": 0.02},
            {(*LR, "learning_rate"): 0.4},
        ),
        (
            {"name": "Piecewise", "decay_epochs": [3], "values": [0.1, 0.01]},
            {(*LR, "values"): [0.4, 0.04]},
        ),
        (
            {
                "name": "Cyclic", "learning_rate": 0.01, "max_learning_rate": 0.1,
                "step_size_up": 1,
            },
            {(*LR, "learning_rate"): 0.04, (*LR, "max_learning_rate"): 0.4},
        ),
    ],
)  # fmt: skip
def test_the_highest_rates_are_scaled(recipe: Dict[str, Any], lr: Any, expected: Values) -> None:
    config = config_of(recipe, lr)
    found = rates_changed(config, 4.0)
    assert found == expected
    with_values(config, found)


def test_an_optimizer_may_stand_below_its_name(recipe: Dict[str, Any]) -> None:
    recipe["Optimizer"] = {"SGD": {"lr": {"name": "Step", "learning_rate": 0.1, "step_size": 4}}}
    config = as_config(recipe)
    assert lengths_changed(config, 0.5) == {("Optimizer", "SGD", "lr", "step_size"): 2}


def test_a_recipe_without_a_schedule_is_told_so(recipe: Dict[str, Any]) -> None:
    del recipe["Optimizer"]
    with pytest.raises(ConfigError, match=r"missing section\(s\) Optimizer"):
        rates_changed(as_config(recipe), 2.0)
