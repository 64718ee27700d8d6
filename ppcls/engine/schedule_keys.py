"""The keys of a schedule that change with the length of training, or with the batch size."""

from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

from ppcls.config import Config, require
from ppcls.config.document import KeyPath
from ppcls.errors import ConfigError
from ppcls.registry import Part, lookup


def lengths_changed(config: Config, factor: float) -> Dict[KeyPath, Any]:
    """Return the keys of the schedule that count epochs, each with the value for a training that is
    `factor` times as long: its shape is the same then.

    The epochs of steps and cycles are multiplied by `factor`, and what multiplies the rate in each
    epoch is taken to the power of 1 / `factor`, so that it comes to the same in the end. Schedules
    that follow `Global.epochs` have no such keys, and the warm-up stays as it is.

    Raises:
        ConfigError: evaluations decide when the rate falls, or there is no schedule.
    """
    kind = _schedule_class(config)
    if getattr(kind, "learns_from_evaluation", False):
        raise ConfigError(
            f"{config.where('Optimizer', 'lr', 'name')}: {kind.__name__} lowers the rate when "
            "evaluation does not get better, so that nothing says what it would be in fewer "
            "epochs. Give Global.epochs yourself, without Global.max_hours, or take a schedule "
            "that follows Global.epochs, such as Cosine"
        )
    lengths = _changed(config, getattr(kind, "lengths", ()), lambda value: _plain(value * factor))
    factors = _changed(config, getattr(kind, "factors", ()), lambda value: value ** (1 / factor))
    if config.SWA and config.SWA.anneal_epochs:
        lengths["SWA", "anneal_epochs"] = _plain(config.SWA.anneal_epochs * factor)
    return {**lengths, **factors}


def rates_changed(config: Config, factor: float) -> Dict[KeyPath, Any]:
    """Return the keys that hold the highest learning rates, each with `factor` times its value.

    Where a schedule ends, and where its warm-up begins, stays as it is.
    """
    kind = _schedule_class(config)
    rates = _changed(config, getattr(kind, "rates", ()), lambda value: _plain(value * factor))
    if config.SWA and config.SWA.learning_rate:
        rates["SWA", "learning_rate"] = _plain(config.SWA.learning_rate * factor)
    return rates


def _schedule_class(config: Config) -> Any:
    return lookup("schedule", _schedule(config).name).constructor


def _schedule(config: Config) -> Part:
    require(config, "Optimizer")
    assert config.Optimizer is not None
    part: Part = config.Optimizer.arguments["lr"]
    return part


def _changed(
    config: Config, keys: Sequence[str], change: Callable[[float], float]
) -> Dict[KeyPath, Any]:
    """Return those of the schedule's keys that are written, with changed values."""
    part = _schedule(config)
    assert config.Optimizer is not None
    optimizer = config.arguments_at(config.Optimizer, "Optimizer")
    place = config.arguments_at(part, *optimizer, "lr")
    is_number = not isinstance(_written(config, place), dict)
    given = {key: part.arguments[key] for key in keys if part.arguments.get(key) is not None}
    # A bare number is a constant rate.
    return {
        place if is_number else (*place, key): _each(value, change) for key, value in given.items()
    }


def _written(config: Config, path: KeyPath) -> Any:
    value: Any = config.data
    for key in path:
        value = value[key]
    return value


def _each(value: Any, change: Callable[[float], float]) -> Any:
    return list(map(change, value)) if isinstance(value, list) else change(value)


def _plain(number: float) -> float:
    """Return a number with six digits that count, as people write it: 12 for 12.0."""
    rounded = float(f"{number:.6g}")
    return int(rounded) if rounded == int(rounded) else rounded
