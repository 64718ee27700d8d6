"""Checking plain data against typed models, and saying in plain words what is wrong with it.

`Section` is the base of everything that is checked: the sections of a configuration file and the
signatures of registered parts. Types are not guessed ("3" is no number), unknown keys are errors,
and all mistakes are found at once.
"""

from __future__ import annotations

import collections.abc
import math
import re
from typing import (
    Annotated,
    Any,
    Callable,
    Dict,
    List,
    Literal,
    Mapping,
    Tuple,
    Union,
    get_args,
    get_origin,
)

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from ppcls.errors import did_you_mean
from ppcls.text import shortened, shown

_OURS = "ppcls"
"""The type of errors whose message needs no more work."""

_NUMBER = r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"
_FACTOR = re.compile(rf"([*/]?) ?({_NUMBER})")
_PRODUCT = re.compile(rf"{_NUMBER}(?: ?[*/] ?{_NUMBER}){{1,9}}")
"""Numbers with multiplication and division signs between them."""

_LONGEST = 100

MOST_TOLD = 50
"""How many mistakes are told at once."""

_KINDS = {
    "boolean": "True or False",
    "dictionary": "keys with values",
    "integer": "a whole number",
    "list": "a list",
    "number": "a number",
    "string": "text",
}
"""What pydantic calls a type in its messages, and what people call it."""

_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


class Section(BaseModel):
    """Base of everything that is checked. An empty section (None) is one without keys.

    Raises:
        pydantic.ValidationError: with the place and a message in plain words for each mistake; one
            on an unknown key lists the accepted ones and the nearest.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
        populate_by_name=True,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler({} if value is None else value)
        except ValidationError as error:
            raise _in_plain_words(error, cls) from None


def mistakes(error: ValidationError) -> List[str]:
    """Return a line for each of the first mistakes: the place, with dots, and what is wrong."""
    told = error.errors()[:MOST_TOLD]
    lines = [f"{shortened('.'.join(map(str, item['loc'])))}: {item['msg']}" for item in told]
    return [*lines, "there are more mistakes"] if error.error_count() > MOST_TOLD else lines


def error_at(location: Tuple[Any, ...], message: str, value: Any) -> ValidationError:
    """Return an error that says `message` about `value`, which stands at `location`."""
    return ValidationError.from_exception_data("part", [_detail(location, message, value)])


def moved(error: ValidationError, prefix: Tuple[str, ...]) -> ValidationError:
    """Return the error with every location put inside `prefix`."""
    return ValidationError.from_exception_data(
        error.title,
        [
            _detail(prefix + tuple(item["loc"]), item["msg"], item["input"])
            for item in error.errors()
        ],
    )


def mistake(message: str) -> PydanticCustomError:
    """Return the error that a validator raises to say `message`, and no more, about its value."""
    # A custom message is a format string to pydantic, so braces in it travel as a value.
    return PydanticCustomError(_OURS, "{message}", {"message": message})


def _detail(location: Tuple[Any, ...], message: str, value: Any) -> InitErrorDetails:
    return InitErrorDetails(type=mistake(message), loc=location, input=value)


def _in_plain_words(error: ValidationError, model: type[BaseModel]) -> ValidationError:
    fields = model.model_fields
    # One more than are told, so that whoever tells them knows that these are not all.
    items = _one_for_each_key(error.errors(), fields)[: MOST_TOLD + 1]
    details = [_detail(tuple(item["loc"]), _message(item, fields), item["input"]) for item in items]
    return ValidationError.from_exception_data(error.title, details)


def _message(item: Any, fields: Mapping[str, FieldInfo]) -> str:
    key, is_direct = str(item["loc"][0]) if item["loc"] else "", len(item["loc"]) == 1
    if item["type"] == "extra_forbidden" and is_direct:
        accepted = ", ".join(fields) or "no arguments"
        hint = did_you_mean(key, fields)
        return f"unknown key '{shortened(key)}'.{hint} Accepted here: {accepted}"
    if item["type"] == "missing" and is_direct:
        return f"required, but missing; it takes {_words(fields[key].annotation)}"
    if item["type"] == _OURS:
        return str(item["msg"])
    return f"{_friendlier(item['msg'])}, got {shown(item['input'])}{_with_result(item['input'])}"


def _with_result(value: Any) -> str:
    """Say what a product such as "0.1*2" comes to, for files whose reader computes such texts."""
    if not isinstance(value, str) or len(value) > _LONGEST or not _PRODUCT.fullmatch(value):
        return ""
    first, *others = _FACTOR.findall(value)
    result = float(first[1])
    for sign, factor in others:
        if sign == "/" and not float(factor):
            return ""
        result = result / float(factor) if sign == "/" else result * float(factor)
    return (
        f". Texts are not computed: write the result, {result:.10g}"
        if math.isfinite(result)
        else ""
    )


def _friendlier(message: str) -> str:
    """Put pydantic's words for people who do not know it."""
    start = "Input should be a valid "
    for theirs, ours in _KINDS.items():
        if message.startswith(start + theirs):
            return f"expected {ours}"
    message = message.replace("Keys should be strings", "keys must be text")
    return message.replace("Input should be", "must be")


def _one_for_each_key(errors: List[Any], fields: Mapping[str, FieldInfo]) -> List[Any]:
    """Tell once what a field with several types takes, where pydantic complains once for each."""
    found: Dict[Any, Any] = {}
    for item in errors:
        key, *branch = item["loc"] or ("",)
        kinds = _alternatives(fields[key].annotation) if key in fields else []
        if len(kinds) < 2 or not branch or item["type"] == _OURS:
            found[item["loc"]] = item
        elif len(branch) > 1 or not item["type"].endswith("_type"):
            # The right type, but out of its range or wrong inside.
            found[key] = {**item, "loc": (key, *branch[1:])}
        else:
            message = f"expected {' or '.join(map(_words, kinds))}"
            found.setdefault(key, {**item, "loc": (key,), "msg": message})
    return list(found.values())


def _alternatives(annotation: Any) -> List[Any]:
    """Return the types of a union besides None; a single type is the only one."""
    kinds = get_args(annotation) if get_origin(annotation) is Union else (annotation,)
    return [kind for kind in kinds if kind is not type(None)]


def _plural(words: str) -> str:
    """Return "numbers" for "a number"."""
    kinds = {"a whole number": "whole numbers", "a number": "numbers", "text": "texts"}
    return kinds.get(words, "values")


def _words(annotation: Any) -> str:
    """Say what a type takes: "a number", "a list of numbers", "keys with values"."""
    kinds = _alternatives(annotation)
    if len(kinds) > 1:
        return " or ".join(map(_words, kinds))
    origin, inside = get_origin(kinds[0]), get_args(kinds[0])
    if origin is Annotated:
        return _words(inside[0])
    if origin is Literal:
        return " or ".join(map(repr, inside))
    if origin in (list, collections.abc.Sequence):
        item = _words(inside[0]) if inside else "a value"
        return f"a list of {_plural(item)}"
    return _NAMES.get(kinds[0], "keys with values")
