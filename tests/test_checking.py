"""What people are told about values that are not accepted."""

from __future__ import annotations

from typing import Annotated, Any, Dict, List, Literal, Optional, Union

import pytest
from pydantic import Field, ValidationError

from ppcls.checking import MOST_TOLD, Section, error_at, mistakes, moved


class Inner(Section):
    rate: Annotated[float, Field(gt=0)] = 1.0


class Outer(Section):
    size: Union[int, List[int]]
    mode: Literal["a", "b"] = "a"
    share: Optional[Annotated[float, Field(ge=0, le=1)]] = None
    steps: Optional[Union[Annotated[int, Field(gt=0)], Annotated[str, Field(min_length=3)]]] = None
    inner: Optional[Inner] = None
    ranks: Optional[List[Annotated[int, Field(ge=1)]]] = None


class Strict(Section):
    ranks: List[Annotated[int, Field(ge=1)]]


def messages(data: Any) -> Dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(data)
    return {".".join(map(str, e["loc"])): e["msg"] for e in caught.value.errors()}


@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        ({}, "size", "required, but missing; it takes a whole number or a list of whole numbers"),
        ({"size": "x"}, "size", "expected a whole number or a list of whole numbers, got 'x'"),
        ({"size": [1, "x"]}, "size.1", "expected a whole number, got 'x'"),
        ({"size": 1, "mode": "c"}, "mode", "must be 'a' or 'b', got 'c'"),
        ({"size": 1, "share": 2.0}, "share", "must be less than or equal to 1, got 2.0"),
        ({"size": 1, "inner": {"rate": 0}}, "inner.rate", "must be greater than 0, got 0"),
        ({"size": 1, "inner": {"rat": 1}}, "inner.rat", "unknown key 'rat'. Did you mean 'rate'?"),
        ({"size": 1, "inner": 3}, "inner", "expected keys with values"),
        (
            {"size": 1, "share": "0.1*2"},
            "share",
            "expected a number, got '0.1*2'. Texts are not computed: write the result, 0.2",
        ),
        (
            {"size": 1, "inner": {"rate": "3e-2 * 64 / 256"}},
            "inner.rate",
            "expected a number, got '3e-2 * 64 / 256'. Texts are not computed: write the result, "
            "0.0075",
        ),
    ],
)
def test_messages_are_in_plain_words(data: Any, key: str, message: str) -> None:
    assert messages(data)[key].startswith(message)


@pytest.mark.parametrize(
    "text", ["0.1*x", "1/0", "2*", "*2", "0.1**2", "1 + 1", "9" * 500 + "*1", "9e999*1"]
)
def test_what_is_no_product_has_no_result(text: str) -> None:
    assert "write the result" not in messages({"size": 1, "share": text})["share"]


@pytest.mark.timeout(20)
def test_what_is_almost_a_product_is_told_at_once() -> None:
    text = "*".join(["1" * 8] * 11) + "*"
    assert "write the result" not in messages({"size": 1, "share": text})["share"]


def test_all_mistakes_are_found_at_once() -> None:
    found = messages({"size": 1.5, "mode": 3, "steps": 0, "inner": {"rate": "x"}, "extra": 1})
    assert set(found) == {"size", "mode", "steps", "inner.rate", "extra"}


def test_a_list_with_limits_is_a_list_of_its_kind() -> None:
    with pytest.raises(ValidationError, match="it takes a list of whole numbers"):
        Strict.model_validate({})


def test_an_empty_section_has_its_defaults() -> None:
    assert Inner.model_validate(None) == Inner()


def test_an_error_can_be_moved_and_keeps_its_braces() -> None:
    error = moved(error_at(("a", 0), "write {b: c}", 3), ("top",))
    assert [(e["loc"], e["msg"]) for e in error.errors()] == [(("top", "a", 0), "write {b: c}")]


def test_only_the_first_of_many_mistakes_are_told() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({f"k{i}": i for i in range(999)})
    lines = mistakes(caught.value)
    assert len(lines) == MOST_TOLD + 1
    assert lines[-1] == "there are more mistakes"


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_numbers_are_finite_where_nothing_else_is_said(number: float) -> None:
    class Plain(Section):
        rate: float

    with pytest.raises(ValidationError, match="must be a finite number, got"):
        Plain.model_validate({"rate": number})
