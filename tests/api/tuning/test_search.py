"""What is tried: texts of spaces, and the usual ones around a recipe."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.api.tuning.search import Dimension, default_search, parse_dimension, read_search, yaml_of
from ppcls.config import as_config
from ppcls.errors import UsageError
from ppcls.yaml_text import parse_value

SPACES = {
    "A.b=log(0.001,0.1)": Dimension("A.b", 0.001, 0.1, "log"),
    "A.b = log( 1e-5 , .1 )": Dimension("A.b", 1e-5, 0.1, "log"),
    "A.b=(-1,0.2)": Dimension("A.b", -1.0, 0.2),
    "A.0.b=int(1,8)": Dimension("A.0.b", 1.0, 8.0, "int"),
    "A=[16, 32]": Dimension("A", choices=("16", "32")),
    "A=[ReLU, null, 1.0e-05, [0.1, 1.0]]": Dimension(
        "A", choices=("ReLU", "null", "1.0e-05", "[0.1, 1.0]")
    ),
}


@pytest.mark.parametrize("text", SPACES)
def test_spaces(text: str) -> None:
    assert parse_dimension(text) == SPACES[text]


@pytest.mark.parametrize("text", ["A.b=log(0.001,0.1)", "A.b=(-1,0.2)", "A=[16, 32]", "A=int(1,8)"])
def test_a_space_says_how_it_is_written(text: str) -> None:
    assert parse_dimension(str(parse_dimension(text))) == parse_dimension(text)


REFUSED = {
    "A.b": "write KEY=SPACE, where SPACE is .*int",
    "=(0,1)": "write KEY=SPACE",
    "A=(1,0)": "the first number must be below the second one",
    "A=(1,1e999)": "the first number must be below",
    "A=(-1e308,9e308)": "the first number must be below",
    "A=log(0,1)": "log takes numbers above 0",
    "A=int(0.5,2)": "int takes whole numbers",
    "A=7": "no space to search",
    "A=[1]": "2 to 100 values",
    "A=[": "no space to search",
    "A=__import__('os')": "no space to search",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_space_is_said(text: str) -> None:
    with pytest.raises(UsageError, match=REFUSED[text]):
        parse_dimension(text)


@given(st.text("A.b=(),log1e-5[]{}&*: int\n", max_size=40))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        found = parse_dimension(text)
    except UsageError as error:
        assert "--search" in str(error)
    else:
        assert found.ends()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_from_yaml(value: float) -> None:
    assert parse_value(yaml_of(value)) == value


def test_the_usual_search_is_around_the_recipe(recipe: Dict[str, Any]) -> None:
    assert [str(one) for one in default_search(as_config(recipe))] == [
        "Optimizer.lr.learning_rate=log(0.005,0.5)",
        "Optimizer.regularizer.coeff=log(1e-05,0.001)",
        "Loss.Train.0.CELoss.epsilon=(0,0.2)",
    ]
    del recipe["Optimizer"]["regularizer"]
    recipe["Optimizer"]["weight_decay"] = 0.02
    recipe["Loss"]["Train"] = [{"name": "CELoss"}]
    keys = [one.key for one in default_search(as_config(recipe))]
    assert keys == ["Optimizer.lr.learning_rate", "Optimizer.weight_decay", "Loss.Train.0.epsilon"]


def test_nothing_usual_and_nothing_given(recipe: Dict[str, Any]) -> None:
    recipe["Optimizer"] = {"name": "SGD", "lr": {"name": "Piecewise", "decay_epochs": [1]}}
    recipe["Optimizer"]["lr"]["values"] = [0.1, 0.01]
    recipe["Loss"]["Train"] = None
    with pytest.raises(UsageError, match="what is to be tried"):
        read_search([], as_config(recipe))


def test_a_key_is_searched_once(recipe: Dict[str, Any]) -> None:
    texts: List[str] = ["A=(0,1)", "A=(0,2)"]
    with pytest.raises(UsageError, match="gives A twice"):
        read_search(texts, as_config(recipe))
