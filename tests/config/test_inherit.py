"""Inheritance between files, and overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ppcls.config.document import Document, Place
from ppcls.config.inherit import apply_override, resolve
from ppcls.errors import ConfigError


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def test_a_child_states_only_what_differs(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="Global: {epochs: 10, seed: 1}\n"
        "Optimizer: {name: Momentum, momentum: 0.9}\nops: [A, B]\n",
        child="_base_: base.yaml\nGlobal: {epochs: 5}\nOptimizer: {momentum: 0.8}\nops: [C]\n",
    )
    data = resolve(tmp_path / "child.yaml").data
    assert data == {
        "Global": {"epochs": 5, "seed": 1},
        "Optimizer": {"name": "Momentum", "momentum": 0.8},
        "ops": ["C"],
    }


def test_another_name_replaces_the_whole_part(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="lr: {name: Piecewise, values: [1, 2]}\n",
        child="_base_: base.yaml\nlr: {name: Cosine, learning_rate: 0.1}\n",
    )
    assert resolve(tmp_path / "child.yaml").data == {"lr": {"name": "Cosine", "learning_rate": 0.1}}


def test_later_bases_win_and_bases_have_bases(tmp_path: Path) -> None:
    write(
        tmp_path,
        root="a: {x: 0, y: 0, z: 0}\n",
        one="_base_: root.yaml\na: {x: 1, y: 1}\n",
        two="a: {y: 2}\n",
        child="_base_: [one.yaml, two.yaml]\na: {q: 9}\n",
    )
    assert resolve(tmp_path / "child.yaml").data == {"a": {"x": 1, "y": 2, "z": 0, "q": 9}}


def test_places_point_into_the_file_that_said_it(tmp_path: Path) -> None:
    write(tmp_path, base="a:\n  x: 1\n  y: 1\n", child="_base_: base.yaml\na:\n  y: 2\n")
    document = resolve(tmp_path / "child.yaml", ["a.z=3"])
    assert str(document.place(("a", "x"))) == f"{tmp_path / 'base.yaml'}:2"
    assert str(document.place(("a", "y"))) == f"{tmp_path / 'child.yaml'}:3"
    assert str(document.place(("a", "z"))) == "-o a.z=3"


def test_circles_and_missing_bases_are_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="_base_: b.yaml\n",
        b="_base_: a.yaml\n",
        c="x: 1\n_base_: none.yaml\n",
        d="_base_: 3\n",
    )
    with pytest.raises(ConfigError, match=r"in a circle: .*a\.yaml -> .*b\.yaml -> .*a\.yaml"):
        resolve(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match=r"c\.yaml:2: _base_: there is no file .*none\.yaml"):
        resolve(tmp_path / "c.yaml")
    with pytest.raises(ConfigError, match="expected a path or a list"):
        resolve(tmp_path / "d.yaml")


def example() -> Document:
    data = {"a": {"b": [{"c": 1}, {"d": {"e": 2}}]}, "f": 3}
    document = Document(data)
    document.put((), Place("x.yaml", 1))
    return document


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("a.b.0.c=5", ("a", "b", 0, "c"), 5),
        ("a.b.1.d.e=[1, 2]", ("a", "b", 1, "d", "e"), [1, 2]),
        ("f=1e-3", ("f",), 1e-3),
        ("f=True", ("f",), True),
        ("f=", ("f",), None),
        ("f=a=b", ("f",), "a=b"),
        ("new.deep.key={x: 1}", ("new", "deep", "key"), {"x": 1}),
        ("f=~", ("f",), None),
    ],
)
def test_overrides_reach_everything(text: str, path: Any, value: object) -> None:
    document = example()
    apply_override(document, text)
    found: Any = document.data
    for key in path:
        found = found[key]
    assert found == value


def test_none_is_null() -> None:
    document = example()
    apply_override(document, "f=None")
    assert document.data["f"] is None
    apply_override(document, "f='None'")
    assert document.data["f"] == "None"


def test_a_tilde_removes_a_key() -> None:
    document = example()
    apply_override(document, "~a.b.1.d.e")
    assert document.data["a"]["b"][1] == {"d": {}}
    with pytest.raises(ConfigError, match="Did you mean 'f'|no such key"):
        apply_override(document, "~g")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.b", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("a.b.7.c=1", r"'a\.b' is a list; name one of its items by index \(0: c, 1: d\)"),
        ("a.b.c=1", "name one of its items by index"),
        ("f.g=1", r"'f' is the value 3 and has no 'g' inside"),
        ("f=[1", "not valid YAML"),
        ("f=2024-99-99", r"this is not valid YAML: .* is no valid timestamp; .*f='\"...\"'"),
        ("f=" + "[" * 900 + "]" * 900, "more than 64 lists and mappings"),
        ('f="\\0"', "holds NUL"),
        ("a.b.²=1", "name one of its items by index"),
        ("a.b." + "9" * 5000 + "=1", "name one of its items by index"),
        ("a..b=1", "a key between the dots is empty"),
        ("a.=1", "a key between the dots is empty"),
        ("~", "a key between the dots is empty"),
        (".".join("a" * 65) + "=1", "at most 64 keys lead to a value"),
    ],
)
def test_overrides_that_lead_nowhere_say_why(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        apply_override(example(), text)
    assert len(str(caught.value)) < 600


def test_a_long_list_or_value_on_the_way_is_not_shown_whole() -> None:
    document = Document({"a": ["x" * 99] * 9999, "b": "y" * 9999})
    with pytest.raises(ConfigError, match=r"49: 'xxx.*, \.\.\.\)$") as caught:
        apply_override(document, "a.b=1")
    assert len(str(caught.value)) < 5000
    with pytest.raises(ConfigError, match=r"is the value 'yyy.*\.\.\. and has no 'c'") as caught:
        apply_override(document, "b.c=1")
    assert len(str(caught.value)) < 500


def test_what_an_alias_repeats_is_changed_alone(tmp_path: Path) -> None:
    write(tmp_path, base="a: {x: &x {k: 1}, y: *x}\n", child="_base_: base.yaml\na: {x: {k: 2}}\n")
    document = resolve(tmp_path / "child.yaml", ["b={x: &x {k: 1}, y: *x}", "b.x.k=3"])
    assert document.data["a"] == {"x": {"k": 2}, "y": {"k": 1}}
    assert document.data["b"] == {"x": {"k": 3}, "y": {"k": 1}}


def test_a_base_is_read_once_however_often_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, d0="a: {x: 1, y: [1, 2]}\n")
    (tmp_path / "link").symlink_to(".")
    for i in range(1, 40):
        before = f"d{i - 1}.yaml"
        write(tmp_path, **{f"d{i}": f"_base_: [{before}, {before}, link/{before}]\nn{i}: {i}\n"})
    document = resolve(tmp_path / "d39.yaml")
    assert document.data["a"] == {"x": 1, "y": [1, 2]}
    assert str(document.place(("a", "y", 1))).endswith("d0.yaml:1")
    assert str(document.place(("n38",))) == f"{tmp_path / 'd38.yaml'}:2"


def test_what_a_base_says_is_not_changed_by_who_inherits_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="a: {x: 1}\n",
        one="_base_: base.yaml\na: {x: 2}\n",
        child="_base_: [one.yaml, base.yaml]\n",
    )
    document = resolve(tmp_path / "child.yaml")
    assert document.data == {"a": {"x": 1}}
    assert str(document.place(("a", "x"))) == f"{tmp_path / 'base.yaml'}:1"


@pytest.mark.slow
def test_inheritance_has_limits(tmp_path: Path) -> None:
    write(tmp_path, big="a: [" + "1, " * 9_000 + "]\n", d0="a: 1\n")
    write(tmp_path, many="b: 1\n_base_: [" + "big.yaml, " * 9_000 + "]\n")
    for i in range(1, 70):
        write(tmp_path, **{f"d{i}": f"_base_: d{i - 1}.yaml\n"})
    with pytest.raises(ConfigError, match=r"many\.yaml:2: _base_: .* at most 200,000 values"):
        resolve(tmp_path / "many.yaml")
    resolve(tmp_path / "d63.yaml")
    with pytest.raises(ConfigError, match=r"d0\.yaml: more than 64 files inherit from each other"):
        resolve(tmp_path / "d64.yaml")


@pytest.mark.parametrize("base", ["x" * 300, "../" * 2000, ".", "''", '"\\ud83d\\ude00"'])
def test_a_base_that_is_no_file_is_named_with_its_line(tmp_path: Path, base: str) -> None:
    write(tmp_path, child=f"x: 1\n_base_: {base}\n")
    with pytest.raises(ConfigError, match=r"child\.yaml:2: ") as caught:
        resolve(tmp_path / "child.yaml")
    assert len(str(caught.value)) < 700
