"""What files of this toolkit note with their arrays: one JSON text, checked where it is read."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Callable, Dict, Iterator, List, Literal, Mapping

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from ppcls.checking import Section, mistake, mistakes
from ppcls.errors import CheckpointError, ConfigError
from ppcls.yaml_text import parse_value

FORMAT = 1

LONGEST = 8 << 20
"""Letters of the JSON text: enough for the names of a hundred thousand classes."""

_DEEPEST = 32
_LONGEST_NAME = 200
_MOST_DIGITS = 20
_LARGEST_SUM = 2.0**62
_LONGEST_REASON = 300


def _such(accepts: Callable[[Any], bool], words: str) -> AfterValidator:
    """Return a check of a whole value; pydantic would list each of a million wrong items."""

    def check(value: Any) -> Any:
        if not accepts(value):
            raise mistake(words)
        return value

    return AfterValidator(check)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_NAME


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_sum(value: Any) -> bool:
    return _is_number(value) and abs(value) <= _LARGEST_SUM


def _is_scale(value: Any) -> bool:
    numbers = value if isinstance(value, list) else [value]
    return all(isinstance(number, (int, float)) for number in numbers)


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _named(accepts: Callable[[Any], bool], what: str) -> AfterValidator:
    """Return a check of values by name."""
    words = f"must be {what}, each with a name of at most {_LONGEST_NAME} printable letters"
    return _such(
        lambda found: all(map(_is_name, found)) and all(map(accepts, found.values())), words
    )


Name = Annotated[
    str, _such(_is_name, f"must be a name of at most {_LONGEST_NAME} printable letters")
]
Names = Annotated[
    List[Any],
    _such(
        lambda names: names and all(isinstance(name, str) for name in names),
        "must be a list of texts, at least one",
    ),
]
Arguments = Annotated[Dict[str, Any], _named(lambda value: True, "arguments")]
Numbers = Annotated[Dict[str, Any], _named(_is_number, "numbers")]
Sums = Annotated[Dict[str, Any], _named(_is_sum, f"finite numbers of at most {_LARGEST_SUM:g}")]
Scaling = Annotated[Dict[str, Any], _named(_is_scale, "numbers, True, False, or lists of numbers")]
Operators = Annotated[
    Dict[str, Any],
    _named(lambda value: value in ("onednn", "paddle"), "names of libraries (onednn, paddle)"),
]
Indices = Annotated[
    List[Any], _such(lambda found: all(map(_is_index, found)), "must be whole numbers from 0")
]
Size = Annotated[int, Field(ge=1, lt=2**31)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
"""So much a float holds exactly, which is what other readers of JSON make of a number."""

Value = Annotated[float, _such(lambda value: not math.isnan(value), "must be a number, not NaN")]


class Metadata(Section):
    """What may be noted. Unknown keys are those of other versions, and are kept as they are.

    Attributes:
        format: goes up by one whenever older versions could not read a file any more.
        kind: whether the file holds weights, or the state of a run in groups.
        arch: the name of the network.
        class_num: how many classes it tells apart.
        in_channels: how many channels its images have.
        arguments: what the network was made with besides.
        class_names: the classes, in the order of their numbers.
        epoch: after how many epochs the weights were taken.
        step: after how many updates of the weights.
        metrics: how good they were then.
        seed: of everything random.
        samples: how many images were trained with.
        images: a checksum of their names and labels.
        batches: of an epoch.
        update_freq: batches of an update.
        asked_epochs: how many epochs the recipe asked for, where `Global.max_hours` left fewer.
        kept_epochs: how many it left.
        config: the run's configuration, as YAML.
        state: where the run stood; `ppcls.engine.checkpoint.TrainState` says what is in it.
    """

    model_config = ConfigDict(extra="allow")

    format: Annotated[int, Field(ge=1)] = FORMAT
    kind: Literal["weights", "checkpoint"] = "weights"
    arch: Name = ""
    class_num: Size = 1
    in_channels: Size = 1
    arguments: Arguments = {}
    class_names: Names = [""]
    epoch: Count = 0
    step: Count = 0
    metrics: Numbers = {}
    seed: Count = 0
    samples: Size = 1
    images: Name = ""
    batches: Size = 1
    update_freq: Size = 1
    asked_epochs: Size = 1
    kept_epochs: Size = 1
    config: str = ""
    state: Dict[str, Any] = {}


def parse_metadata(text: str) -> Dict[str, Any]:
    """Return what the JSON text says.

    Raises:
        ValueError: it is too long or too deep, is no JSON object, or has text that is no Unicode.
    """
    if len(text) > LONGEST:
        raise ValueError(f"it has {len(text)} letters, where at most {LONGEST} are read")
    try:
        noted = json.loads(text, parse_int=_whole_number)
    except RecursionError:
        raise ValueError("its values stand too deep inside each other") from None
    if not isinstance(noted, dict):
        raise ValueError("it is no JSON object")
    for value in _values(noted):
        if isinstance(value, str):
            value.encode()
    return noted


def check_metadata(noted: Mapping[str, Any]) -> None:
    """Check what was noted.

    Raises:
        ValueError: a value is of another type or out of range; the message begins with its key.
    """
    try:
        Metadata.model_validate(noted)
    except ValidationError as error:
        raise ValueError(reason(error)) from None


def reason(error: ValidationError) -> str:
    """Return the first mistake, in a line that can be read."""
    return mistakes(error)[0][:_LONGEST_REASON]


def noted_config(metadata: Mapping[str, Any], label: str) -> Dict[str, Any]:
    """Return the configuration that the file `label` notes; an empty one if it notes none.

    Raises:
        CheckpointError: it is not YAML, or no configuration.
    """
    try:
        found = parse_value(metadata.get("config", "")) or {}
        if not isinstance(found, dict):
            raise ConfigError("it has no sections")
    except ConfigError as error:
        words = " ".join(str(error).split())[:_LONGEST_REASON]
        raise CheckpointError(
            f"{label}: the configuration noted in it (config) is damaged: {words}"
        ) from None
    return found


def _whole_number(digits: str) -> int:
    """Return a number; reading one takes time that grows with the square of its length."""
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"it has a number of {len(digits)} digits")
    return int(digits)


def _values(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yield a value, and the keys and values inside it.

    Raises:
        ValueError: they stand too deep inside each other, or in themselves.
    """
    if depth > _DEEPEST:
        raise ValueError(f"it has more than {_DEEPEST} values inside each other")
    yield value
    if isinstance(value, dict):
        yield from value
    inside = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list)):
        for item in inside:
            yield from _values(item, depth + 1)
