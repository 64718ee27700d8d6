"""The registry: names, signatures as schemas, and what is said when they are not met."""

from __future__ import annotations

from typing import Annotated, Any, Iterator, List, Optional

import pytest
from paddle import nn
from pydantic import ValidationError

from ppcls import registry
from ppcls.errors import ConfigError
from ppcls.registry import Part, PartOf, PartsOf, Provided, create, names, parse, register
from ppcls.signatures import parameters, provided_names


class Rate:
    def __init__(self, value: float, steps: Provided[int] = 1) -> None:
        self.value, self.steps = value, steps


class Optimiser:
    def __init__(
        self,
        lr: Annotated[Part, PartOf("schedule")],
        momentum: float = 0.9,
        model: Provided[Optional[str]] = None,
    ) -> None:
        self.lr, self.momentum, self.model = lr, momentum, model


class Images:
    def __init__(self, ops: Annotated[List[Part], PartsOf("transform")], root: str = ".") -> None:
        self.ops, self.root = ops, root


class Crop:
    def __init__(self, size: int) -> None:
        self.size = size


@pytest.fixture(autouse=True)
def _small_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry with four parts, restored afterwards."""
    monkeypatch.setattr(registry, "_entries", {})
    monkeypatch.setattr(registry, "_load", lambda kind: None)
    registry.arguments_model.cache_clear()
    register("schedule")(Rate)
    register("optimizer")(Optimiser)
    register("optimizer", "Heavy", momentum=0.99)(Optimiser)
    register("dataset")(Images)
    register("transform")(Crop)
    yield
    registry.arguments_model.cache_clear()


def messages(kind: str, value: Any) -> List[str]:
    with pytest.raises(ValidationError) as caught:
        parse(kind, value)
    return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in caught.value.errors()]


@pytest.mark.parametrize(
    "value", ["Crop", {"Crop": {"size": 3}}, {"name": "Crop", "size": 3}, {"Crop": None}]
)
def test_three_ways_to_write_a_part(value: Any) -> None:
    if value in ("Crop", {"Crop": None}):
        assert "required, but missing; it takes" in messages("transform", value)[0]
    else:
        assert parse("transform", value).build().size == 3


def test_provided_arguments_come_from_the_program_only() -> None:
    part = parse("schedule", {"Rate": {"value": 0.1}})
    assert part.build(steps=7, unrelated=1).steps == 7
    assert "unknown key 'steps'" in messages("schedule", {"Rate": {"value": 0.1, "steps": 3}})[0]


def test_a_variant_changes_defaults_and_can_be_overruled() -> None:
    part = parse("optimizer", {"name": "Heavy", "lr": {"name": "Rate", "value": 1}})
    assert part.build().momentum == 0.99
    assert Part("optimizer", "Heavy", {**part.arguments, "momentum": 0.5}).build().momentum == 0.5


def test_nested_parts_are_checked_where_they_stand() -> None:
    found = messages(
        "dataset", {"Images": {"ops": [{"Crop": {"size": 1}}, {"Crop": {"sise": 2}}, {"Crob": {}}]}}
    )
    assert found[0].startswith("Images.ops.1.Crop.size: required, but missing")
    assert found[1].startswith("Images.ops.1.Crop.sise: unknown key 'sise'. Did you mean 'size'?")
    assert "unknown transform 'Crob'. Did you mean 'Crop'?" in found[2]


@pytest.mark.parametrize("value", [3, [], {}, {"a": 1, "b": 2}, None, {"name": 3}])
def test_what_is_no_part_says_how_one_is_written(value: Any) -> None:
    assert "written as 'Name: {argument: value}'" in messages("transform", value)[0]


@pytest.mark.parametrize("value", ["3", 3.5, True, None, [3]])
def test_types_are_not_guessed(value: Any) -> None:
    assert len(messages("transform", {"Crop": {"size": value}})) == 1


def test_from_python_the_same_checks_apply() -> None:
    assert create("transform", "Crop", {"size": 4}).size == 4
    with pytest.raises(ConfigError, match="Did you mean 'size'"):
        create("transform", "Crop", {"siz": 4})
    with pytest.raises(ConfigError, match="Did you mean 'Crop'"):
        create("transform", "Crp", {})


def test_a_name_is_given_once_and_kinds_are_known() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register("transform", "Crop")(Images)
    with pytest.raises(ValueError, match="unknown kind"):
        register("transfrom")


def test_what_cannot_be_checked_cannot_be_registered() -> None:
    class Loose:
        def __init__(self, **anything: Any) -> None: ...

    register("transform")(Loose)
    with pytest.raises(TypeError, match="cannot be checked"):
        parse("transform", {"Loose": {"x": 1}})


def test_names_are_found_by_pattern() -> None:
    assert names("optimizer", "*e*") == ["Heavy", "Optimiser"]


def test_a_layer_without_a_constructor_takes_no_arguments() -> None:
    class Halved(nn.Layer):
        def forward(self, outputs: Any, labels: Any) -> Any:
            return outputs / 2

    class Again(Halved):
        pass

    assert parameters(Halved) == parameters(Again) == []
    assert not provided_names(Again)
