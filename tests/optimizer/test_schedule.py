"""Schedules against `paddle.optimizer.lr`, and where their boundaries lie."""

from __future__ import annotations

import logging
import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paddle.optimizer import lr as paddle_lr
from pydantic import ValidationError

from ppcls.errors import ConfigError
from ppcls.registry import create, names, parse

EPOCHS, STEPS = 12, 5
TOTAL = EPOCHS * STEPS


def build(name, steps=STEPS, epochs=EPOCHS, **arguments):
    return create("schedule", name, arguments, epochs=epochs, steps_per_epoch=steps)


def curve(schedule, total=TOTAL):
    return [schedule.at(step) for step in range(total)]


def paddle_curve(scheduler, total=TOTAL):
    """Return the rates of Paddle's scheduler, stepped as a trainer does."""
    rates = []
    for _ in range(total):
        rates.append(float(scheduler()))
        scheduler.step()
    return rates


def warmed(scheduler, units, peak, start=0.0):
    return paddle_lr.LinearWarmup(scheduler, warmup_steps=units, start_lr=start, end_lr=peak)


# Each row: our arguments, and Paddle's scheduler for `unit` steps an epoch and a decay of `length`.
SAME = {
    "Constant": ({"learning_rate": 0.3}, None),
    "Cosine": (
        {"learning_rate": 0.3, "eta_min": 0.01},
        lambda unit, length: paddle_lr.CosineAnnealingDecay(0.3, length, eta_min=0.01),
    ),
    "Linear": (
        {"learning_rate": 0.3, "end_lr": 0.02, "power": 1.5},
        lambda unit, length: paddle_lr.PolynomialDecay(0.3, length, end_lr=0.02, power=1.5),
    ),
    "Step": (
        {"learning_rate": 0.3, "step_size": 3, "gamma": 0.5},
        lambda unit, length: paddle_lr.StepDecay(0.3, 3 * unit, gamma=0.5),
    ),
    "Piecewise": (
        {"decay_epochs": [3, 6, 9], "values": [0.3, 0.2, 0.05, 0.4]},
        lambda unit, length: paddle_lr.PiecewiseDecay(
            [3 * unit, 6 * unit, 9 * unit], [0.3, 0.2, 0.05, 0.4]
        ),
    ),
    "MultiStep": (
        {"learning_rate": 0.3, "decay_epochs": [2, 7], "gamma": 0.2},
        lambda unit, length: paddle_lr.MultiStepDecay(0.3, [2 * unit, 7 * unit], gamma=0.2),
    ),
    "MultiStepDecay": (
        {"learning_rate": 0.3, "milestones": [2, 7], "gamma": 0.2},
        lambda unit, length: paddle_lr.MultiStepDecay(0.3, [2 * unit, 7 * unit], gamma=0.2),
    ),
    "Exponential": (
        {"learning_rate": 0.3, "gamma": 0.8},
        lambda unit, length: paddle_lr.ExponentialDecay(0.3, 0.8 ** (1 / unit)),
    ),
    "Cyclic": (
        {"learning_rate": 0.3, "max_learning_rate": 0.4, "step_size_up": 2, "step_size_down": 3},
        lambda unit, length: paddle_lr.CyclicLR(0.3, 0.4, 2 * unit, 3 * unit),
    ),
    "ReduceOnPlateau": ({"learning_rate": 0.3}, None),
    "OneCycle": (
        {"learning_rate": 0.4, "divide_factor": 4 / 3, "end_lr": 0.01},
        lambda unit, length: paddle_lr.OneCycleLR(0.4, length, 4 / 3, 0.01),
    ),
}


def test_every_schedule_is_compared():
    assert set(SAME) == set(names("schedule"))


@pytest.mark.parametrize("name", SAME)
def test_without_warm_up_it_is_paddles(name):
    arguments, make = SAME[name]
    reference = paddle_curve(make(STEPS, TOTAL)) if make else [0.3] * TOTAL
    assert curve(build(name, **arguments)) == pytest.approx(reference, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", SAME)
def test_by_epoch_it_is_paddles_stepped_once_an_epoch(name):
    arguments, make = SAME[name]
    per_epoch = paddle_curve(make(1, EPOCHS), EPOCHS) if make else [0.3] * EPOCHS
    reference = [rate for rate in per_epoch for _ in range(STEPS)]
    got = curve(build(name, by_epoch=True, **arguments))
    assert got == pytest.approx(reference, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "name", ["Constant", "Cosine", "Linear", "Exponential", "Cyclic", "OneCycle"]
)
@pytest.mark.parametrize("by_epoch", [False, True])
def test_with_warm_up_the_smooth_ones_are_paddles(name, by_epoch):
    arguments, make = SAME[name]
    unit, units = (1, EPOCHS) if by_epoch else (STEPS, TOTAL)
    inner = make(unit, units - 2 * unit) if make else 0.3
    rates = paddle_curve(warmed(inner, 2 * unit, 0.3, 0.05), units)
    reference = [rate for rate in rates for _ in range(STEPS)] if by_epoch else rates
    schedule = build(name, warmup_epoch=2, warmup_start_lr=0.05, by_epoch=by_epoch, **arguments)
    assert curve(schedule) == pytest.approx(reference, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["Piecewise", "MultiStep", "MultiStepDecay", "Step"])
def test_with_warm_up_the_others_change_where_they_would_without(name):
    arguments, _ = SAME[name]
    plain = curve(build(name, **arguments))
    got = curve(build(name, warmup_epoch=1.5, warmup_start_lr=0.1, **arguments))
    ramp = paddle_curve(warmed(0.3, 8, 0.3, 0.1), 8)
    assert got[:8] == pytest.approx(ramp, rel=1e-9)
    assert got[8:] == plain[8:]


def test_the_boundary_is_the_first_step_of_the_epoch():
    schedule = build("Piecewise", decay_epochs=[3], values=[1.0, 0.1])
    assert (schedule.at(3 * STEPS - 1), schedule.at(3 * STEPS)) == (1.0, 0.1)


def test_fractions_of_epochs():
    schedule = build("Cosine", learning_rate=1.0, warmup_epoch=0.5, steps=10)
    assert schedule.at(4) == pytest.approx(0.8)
    assert schedule.at(5) == 1.0
    stairs = build("MultiStep", learning_rate=1.0, decay_epochs=[0.5, 1.5], steps=10)
    assert [stairs.at(step) for step in (4, 5, 14, 15)] == pytest.approx([1, 0.1, 0.1, 0.01])


@pytest.mark.slow
@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(SAME)),
    warmup=st.floats(0, EPOCHS - 1),
    by_epoch=st.booleans(),
    steps=st.integers(1, 40),
    order=st.randoms(use_true_random=False),
)
def test_the_rate_depends_on_the_step_alone_and_stays_in_bounds(
    name, warmup, by_epoch, steps, order
):
    arguments, _ = SAME[name]
    extra = {"warmup_epoch": warmup, "warmup_start_lr": 0.001, "by_epoch": by_epoch, "steps": steps}
    schedule = build(name, **arguments, **extra)
    forward = curve(schedule, EPOCHS * steps)
    shuffled = order.sample(range(EPOCHS * steps), EPOCHS * steps)
    assert all(schedule.at(step) == forward[step] for step in shuffled)
    assert all(0 <= rate <= 0.4 + 1e-12 for rate in forward)
    if by_epoch:
        assert all(len(set(forward[e * steps : (e + 1) * steps])) == 1 for e in range(EPOCHS))


@pytest.mark.parametrize("name, end", [("Cosine", 0.01), ("Linear", 0.02)])
def test_after_the_end_the_last_rate_holds(name, end):
    schedule = build(name, **SAME[name][0])
    assert schedule.at(TOTAL) == schedule.at(TOTAL + 1000) == pytest.approx(end)
    assert schedule.at(TOTAL - 1) > end


def test_a_cycle_stretches_as_paddles():
    reference = paddle_curve(paddle_lr.PolynomialDecay(0.3, TOTAL, 0.02, 2.0, True), 3 * TOTAL)
    schedule = build("Linear", learning_rate=0.3, end_lr=0.02, power=2.0, cycle=True)
    assert curve(schedule, 3 * TOTAL) == pytest.approx(reference, rel=1e-9)


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        (
            "Piecewise",
            {"decay_epochs": [30, 60], "values": [0.1, 0.01]},
            "2 epochs need 3 values, got 2",
        ),
        (
            "Piecewise",
            {"decay_epochs": [6, 3], "values": [1.0, 0.1, 0.01]},
            "decay_epochs must asc",
        ),
        (
            "Piecewise",
            {"decay_epochs": [3, 3], "values": [1.0, 0.1, 0.01]},
            "decay_epochs must asc",
        ),
        ("MultiStepDecay", {"learning_rate": 1.0, "milestones": [3, 2]}, "milestones must ascend"),
        ("Cosine", {"learning_rate": 0.1, "last_epoch": 4}, "last_epoch: 4 is not possible"),
        ("Cosine", {"learning_rate": -0.1}, "learning_rate.*greater than or equal to 0"),
        ("Cosine", {"learning_rate": math.inf}, "learning_rate.*finite"),
        ("Cosine", {"learning_rate": 0.1, "warmup_start_lr": -1.0}, "warmup_start_lr"),
        ("Step", {"learning_rate": 0.1, "step_size": 0}, "step_size.*greater than 0"),
        ("Linear", {"learning_rate": 0.1, "power": 0.0}, "power.*greater than 0"),
        ("Cosine", {"learning_rate": 0.1, "eta_min": math.nan}, "eta_min.*finite"),
        ("MultiStep", {"learning_rate": 0.1, "decay_epochs": [1], "gamma": -1.0}, "gamma.*greater"),
        ("Piecewise", {"decay_epochs": [1], "values": [0.1, -0.1]}, "values.1.*greater"),
        ("Piecewise", {"decay_epochs": [-1], "values": [0.1, 0.1]}, "decay_epochs.0.*greater"),
        ("Cosine", {"learning_rate": 0.1, "T_max": 3}, "unknown key 'T_max'"),
    ],
)
def test_mistakes_are_named(name, arguments, message):
    with pytest.raises(ConfigError, match=message):
        build(name, **arguments)


def test_keys_that_paddleclas_files_carry_are_accepted(caplog):
    with caplog.at_level(logging.WARNING, "ppcls"):
        build("Piecewise", learning_rate=0.1, decay_epochs=[3], values=[0.1, 0.01], last_epoch=-1)
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "ppcls"):
        build("Piecewise", learning_rate=0.2, decay_epochs=[3], values=[0.1, 0.01])
    assert "0.2 has no effect" in caplog.text


def test_a_first_epoch_without_effect_is_pointed_out(caplog):
    with caplog.at_level(logging.WARNING, "ppcls"):
        build("Cosine", learning_rate=0.1, warmup_epoch=2, by_epoch=True)
    assert "whole first epoch" in caplog.text


def test_wrong_types_are_found_before_building():
    with pytest.raises(ValidationError, match="a number, got 'fast'"):
        parse("schedule", {"Cosine": {"learning_rate": "fast"}})


def test_schedules_need_no_paddle(root):
    code = "import sys; import ppcls.optimizer.schedule; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
def test_triangles_are_paddles(mode):
    given = {"learning_rate": 0.1, "max_learning_rate": 0.5, "step_size_up": 1.4}
    reference = paddle_lr.CyclicLR(0.1, 0.5, 7, mode=mode, exp_gamma=0.9)
    got = curve(build("Cyclic", mode=mode, exp_gamma=0.9, **given))
    assert got == pytest.approx(paddle_curve(reference), rel=1e-9)


def test_one_cycle_in_lines_is_paddles():
    reference = paddle_lr.OneCycleLR(
        0.4, TOTAL, 10, 0.001, phase_pct=0.25, anneal_strategy="linear"
    )
    given = {"divide_factor": 10, "end_lr": 0.001, "phase_pct": 0.25, "anneal_strategy": "linear"}
    got = curve(build("OneCycle", learning_rate=0.4, **given))
    assert got == pytest.approx(paddle_curve(reference), rel=1e-9)
    assert got[-1] == pytest.approx(0.001) and max(got) <= 0.4


def test_one_cycle_of_one_step():
    assert build("OneCycle", steps=1, epochs=1, learning_rate=0.4).at(0) > 0


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"max_learning_rate": 0.1, "step_size_up": 1}, "0.1 is below learning_rate, 0.3"),
        ({"max_learning_rate": 0.5, "step_size_up": 0.01}, "each must be at least one update"),
        (
            {"max_learning_rate": 0.5, "step_size_up": 0.5, "by_epoch": True},
            "each must be at least one epoch",
        ),
        ({"max_learning_rate": 0.5, "step_size_up": 2000}, "it counts epochs, not steps"),
    ],
)
def test_cycles_that_make_no_sense(arguments, says):
    with pytest.raises(ConfigError, match=says):
        build("Cyclic", learning_rate=0.3, **arguments)


@settings(max_examples=50)
@given(
    values=st.lists(st.floats(0.01, 1), min_size=1, max_size=40),
    patience=st.integers(0, 4),
    cooldown=st.integers(0, 3),
    threshold=st.sampled_from([0.0, 1e-4, 0.1]),
    threshold_mode=st.sampled_from(["rel", "abs"]),
    higher=st.booleans(),
)
def test_plateaus_are_paddles(values, patience, cooldown, threshold, threshold_mode, higher):
    given_ = {"patience": patience, "cooldown": cooldown, "threshold": threshold}
    given_.update(threshold_mode=threshold_mode, factor=0.5, min_lr=0.01)
    reference = paddle_lr.ReduceOnPlateau(0.3, mode="max" if higher else "min", **given_)
    schedule = build("ReduceOnPlateau", learning_rate=0.3, **given_)
    for value in values:
        reference.step(value)
        schedule.observe(value, higher, step=1)
        again = build("ReduceOnPlateau", learning_rate=0.3, **given_)
        again.load_state(schedule.state())
        schedule = again
        assert schedule.at(17) == pytest.approx(reference(), rel=1e-9)


def test_a_plateau_of_what_is_no_number():
    schedule = build("ReduceOnPlateau", learning_rate=0.3, patience=1)
    for value in (math.nan, 0.5, math.nan, math.nan):
        schedule.observe(value, True, step=1)
    assert schedule.at(0) == pytest.approx(0.03) and schedule.state()["best"] == 0.5


def test_a_warm_up_is_no_plateau():
    schedule = build("ReduceOnPlateau", learning_rate=0.3, patience=0, warmup_epoch=2)
    for epoch in range(1, 6):
        schedule.observe(0.5, True, step=epoch * STEPS - 1)
    # Of the evaluations after 9, 14, 19 and 24 steps, all but the first count.
    assert schedule.state()["falls"] == 2


@pytest.mark.parametrize("name", SAME)
def test_the_highest_rate(name):
    schedule = build(name, **SAME[name][0])
    if name == "Piecewise":
        return  # may rise later; its first rate stands for it
    assert schedule.highest == pytest.approx(max(curve(schedule)), rel=0.02)


@pytest.mark.parametrize("warmup", [12, 40])
@pytest.mark.parametrize(
    ("by_epoch", "epochs", "half"), [(False, 12, 6), (False, 5, 2.5), (True, 5, 2)]
)
def test_a_warm_up_beyond_the_end_is_shortened(warmup, by_epoch, epochs, half, caplog):
    given = {"learning_rate": 0.1, "by_epoch": by_epoch, "warmup_start_lr": 0.01}
    with caplog.at_level(logging.WARNING, "ppcls"):
        schedule = build("Cosine", epochs=epochs, warmup_epoch=warmup, **given)
    assert f"within the {epochs} epochs of training; it is shortened to {half:g}" in caplog.text
    same = build("Cosine", epochs=epochs, warmup_epoch=half, **given)
    assert curve(schedule, epochs * STEPS) == curve(same, epochs * STEPS)
