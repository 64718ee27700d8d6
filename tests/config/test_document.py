"""YAML files read with the place of every value."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ppcls.config.document import Place, parse_value, read_document
from ppcls.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "Global:\n  epochs: 3\nops:\n  - A: {x: 1}\n  - B:\n      y: 2\n")
    document = read_document(path)
    for key, line in (
        (("Global", "epochs"), 2),
        (("ops", 0, "A", "x"), 4),
        (("ops", 1, "B", "y"), 6),
    ):
        assert document.own_place(key) == Place(str(path), line)
    assert document.own_place(("ops", 1, "B", "missing")) is None
    assert str(document.place(("ops", 1, "B", "missing"))) == f"{path}:5"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        ("-2e+1", -20.0),
        ("1.5e-3", 1.5e-3),
        ("e4", "e4"),
        ("1e", "1e"),
    ],
)
def test_exponents_without_a_point_are_numbers(text: str, value: object) -> None:
    assert parse_value(text) == value
    assert isinstance(parse_value(text), type(value))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives_its_python_spelling(number: float) -> None:
    assert parse_value(repr(number)) == number


def test_a_key_written_twice_names_both_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "Global:\n  epochs: 1\n  seed: 2\n  epochs: 3\n")
    with pytest.raises(
        ConfigError, match=r"config\.yaml:4: the key 'epochs' is written twice.*line 2"
    ):
        read_document(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2\nb: 3\n", r"config\.yaml:2: this is not valid YAML"),
        ("- 1\n- 2\n", r"config\.yaml:1: expected sections"),
        ("a: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
        ("a: &x [*x]\n", "contains itself|not valid YAML"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_document(written(tmp_path, text))


def test_a_missing_file_and_a_binary_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_document(tmp_path / "none.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_document(path)


def test_an_empty_file_is_an_empty_document(tmp_path: Path) -> None:
    assert read_document(written(tmp_path, "# nothing\n")).data == {}


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    text = "base: &b {x: 1, y: 2}\nchild:\n  <<: *b\n  y: 3\n"
    assert read_document(written(tmp_path, text)).data == yaml.safe_load(text)
