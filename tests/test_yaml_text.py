"""YAML is read within limits, and what is wrong in it has its line."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls import yaml_text
from ppcls.errors import ConfigError
from ppcls.yaml_text import parse_value, read_value


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


def refusal(folder: Path, text: str) -> str:
    path = folder / "some.yaml"
    path.write_bytes(text.encode())
    with pytest.raises(ConfigError) as caught:
        read_value(path)
    return str(caught.value)


@pytest.fixture(params=["libyaml", "PyYAML alone"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML comes with libyaml, but where it is built from source it may not."""
    if request.param == "PyYAML alone":
        monkeypatch.setattr(yaml_text, "_Loader", yaml_text._PythonLoader)


BOMB = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij")
)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r":5: this is too large: .* 20,000 values"),
        ("a: &a {b: 1}\nc: &c {<<: [" + "*a, " * 4_000 + "]}\nd: [*c, *c]", ":3: .* 20,000"),
        ("a: [" + "1, " * 20_001 + "]", ":1: this is too large"),
        ("x: " + "[" * 64 + "]" * 64, ":1: .* more than 64 lists and mappings"),
        ("x: " + "{" * 3000, ":1: this is"),
        ("".join(" " * i + "a:\n" for i in range(100)), ":64: .* more than 64 lists and mappings"),
        ("a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40, ":2: .* 64 lists"),
        ("a: 1\nb: &b {c: [*b]}", r":2: .* the alias \*b stands for something that contains it"),
        (f"a: &a {'x' * 10_000}\nb: [" + "*a, " * 300 + "]", ":2: .* a long text as several"),
        ("# " + "x" * 4 * 2**20, "more than 4,194,304 bytes"),
    ],
    ids=["aliases", "merges", "values", "deep", "deeper"]
    + ["block", "alias", "itself", "letters", "bytes"],
)
def test_too_much_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setattr(yaml_text, "MOST_VALUES", 20_000)
    began = time.perf_counter()
    assert re.search(message, refusal(tmp_path, text))
    assert time.perf_counter() - began < 10


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2024-99-99", "'2024-99-99' is no valid timestamp; quote it"),
        ("0x_", "'0x_' is no valid int"),
        ("!!int abc", "'abc' is no valid int"),
        ("!!bool x", "'x' is no valid bool"),
        ("!!float ''", "'' is no valid float"),
        ("!!timestamp x", "'x' is no valid timestamp"),
        ("!!int [1]", "expected a scalar node"),
        ("!!binary x=y", "failed to decode base64"),
        ("9" * 5000, "a number has at most 400 letters"),
        ("1" + ":59" * 9000, "a number has at most 400 letters"),
        ("0x" + "f" * 17, "needs more than 64 bits"),
        ("1" + ":1" * 190 + ".5", "no valid float"),
        ("{[a]: b}", "unhashable key|cannot be a key"),
        ("{<<: 3}", "expected a mapping or list of mappings for merging"),
        ("{<<: [3]}", "expected a mapping for merging"),
        ('"a\\0b"', r"the text 'a\x00b' holds NUL"),
        ('{"a\\0b": 1}', r"the text 'a\x00b' holds NUL"),
        ('"\\ud800"', "half of a character|invalid Unicode character"),
        ('"\\UFFFFFFFF"', "invalid Unicode character|too large to convert"),
        ("\x01", r"it holds '\x01'"),
        ("a\0b", r"it holds '\x00'"),
        ("\n\tb: 1", "found character"),
        ("@b", "found character"),
        ("[&a 1, &a 2]", "second occurrence of an anchor"),
    ],
)
def test_what_yaml_itself_stumbles_over_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    told = refusal(tmp_path, f"ok: 1\nbad: {text}\n")
    assert re.search(r"some\.yaml:[123]: this is not valid YAML: ", told)
    assert any(words in told for words in message.split("|"))
    assert len(told) < 500
    with pytest.raises(ConfigError, match="^this is not valid YAML: "):
        parse_value(f"bad: {text}")


def test_a_merge_key_stands_once_in_a_value() -> None:
    with pytest.raises(ConfigError, match="merge key << is written twice; give it a list"):
        parse_value("a: &a {x: 1}\nb: {<<: *a, <<: *a}")


@pytest.mark.usefixtures("parser")
def test_whole_numbers_of_64_bits_and_long_fractions_are_read() -> None:
    assert parse_value(f"[{-(2**63)}, {2**64 - 1}]") == [-(2**63), 2**64 - 1]
    assert parse_value("0." + "3" * 300) == 1 / 3
