"""YAML files read with the place of every value."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from ppcls.config.document import Document, Place, read_document
from ppcls.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "Global:\n  epochs: 3\nops:\n  - A: {x: 1}\n  - B:\n      y: 2\n")
    found = read_document(path)
    for key, line in (
        (("Global", "epochs"), 2),
        (("ops", 0, "A", "x"), 4),
        (("ops", 1, "B", "y"), 6),
    ):
        assert found.own_place(key) == Place(str(path), line)
    assert found.own_place(("ops", 1, "B", "missing")) is None
    assert str(found.place(("ops", 1, "B", "missing"))) == f"{path}:5"


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


@pytest.mark.slow
def test_places_of_many_keys_are_found_and_dropped_at_once(tmp_path: Path) -> None:
    many = "a: {" + "".join(f"k{i}: {i}, " for i in range(20_000)) + "}\n"
    found = read_document(written(tmp_path, f"{many}b: {{c: {{d: 1}}}}\n"))
    began = time.perf_counter()
    for i in range(20_000):
        found.forget(("a", f"k{i}"))
    assert time.perf_counter() - began < 2
    assert found.count() == 5
    assert found.own_place(("a", "k7")) is None
    assert str(found.place(("a", "k7"))).endswith(":1")
    other = Document({})
    other.adopt(("b",), found)
    found.forget(("b", "c"))
    assert str(other.place(("b", "c", "d"))).endswith(":2")
    assert other.order(("b", "c")) == (str(tmp_path / "config.yaml"), 2)
    assert other.order(("x",)) == ("", 0)


def test_a_copy_can_be_changed_on_its_own(tmp_path: Path) -> None:
    found = read_document(written(tmp_path, "a:\n  b: [1, 2]\n"))
    other = found.copy()
    other.data["a"]["b"].append(3)
    other.forget(("a", "b"))
    assert found.data == {"a": {"b": [1, 2]}}
    assert str(found.own_place(("a", "b"))).endswith(":2")
    assert other.own_place(("a", "b")) is None and str(other.own_place(("a",))).endswith(":1")
