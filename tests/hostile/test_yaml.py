"""YAML of strangers: configuration files with what they inherit, overrides, and `inference.yml`."""

from __future__ import annotations

import copy
import logging
import random
import re
from functools import cache
from pathlib import Path
from typing import Any, Callable, Iterator, List, TypeVar

import pytest
import yaml
from hypothesis import strategies as st

from ppcls.config import load_config
from ppcls.inference.description import read_description
from tests.hostile.harness import Limits, attack, drawn, expect_no_failure
from tests.hostile.mutate import damaged

pytestmark = pytest.mark.slow

T = TypeVar("T")

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

LIMITS = Limits(seconds=5, megabytes=300)

RECIPE = (Path(__file__).parents[2] / "configs/quick_start/LeNet_digits.yaml").read_text("utf-8")
CHILD = "_base_: base.yaml\nGlobal: {epochs: 2}\nOptimizer: {lr: {learning_rate: 0.1}}\n"
BUNDLE = """\
Global: {model_name: LeNet}
PreProcess:
  DecodeImage: {to_rgb: true, channel_first: false}
  transform_ops:
  - ResizeImage: {size: 32}
  - NormalizeImage: {order: ''}
  - ToCHWImage
PostProcess:
  Topk: {topk: 2, label_list: [cat, dog]}
Bundle:
  format_version: 1
  input: {channels: 3, height: 32, width: 32}
  output: {kind: probabilities, classes: 2}
  formats:
    onnx: [inference.onnx]
  files:
    inference.onnx: {bytes: 9, sha256: '00'}
  provenance: {ppcls: '1', exported: 2024-01-01}
  calibration: {temperature: 1.5, threshold: 0.4, class_thresholds: [0.4, 0.3], measured: {a: 1}}
"""

SCALARS = [
    *("2024-99-99", "2024-01-01", "0x_", "0b", "1:99:99", "1e999", "-.inf", ".nan", "~", "", "="),
    *("!!int abc", "!!bool x", "!!float ''", "!!binary x=y", "!!timestamp x", "!!set {a}", "! x"),
    *("!!python/name:os.system", "!!omap [a: 1]", "!!pairs 3", "!!null x", "!unknown {a: b}"),
    *('"a\\0b"', '"\\ud800"', '"\\UFFFFFFFF"', '"\\x1b[2J"', "'", '"', "\x01", "\u2028", "\ufeff"),
    *("- x", "? x", "? [a]\n: b", "<<: 3", "{<<: [3]}", "*none", "&a *a", "&a [*a]", "&a b", "*a"),
    *("%YAML 9.9", "---", "...", "--- 1\n--- 2", "@x", "`x", "\tx", "a: b: c", "{a: 1, a: 2}"),
    *("true", "0", "-1", "1e-400", "1" * 25, "9" * 5000, "0x" + "f" * 999, "1" + ":59" * 300),
    *("x" * 300, "x" * 9999, "../" * 99, "/", "/dev/zero", "[]", "{}", "[[[[1]]]]", "{1: 2}"),
]
"""What YAML, PyYAML or a file system takes for something else than text."""


def _flow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return lists and mappings of values, and values with anchors."""
    return st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(inner, inner), max_size=4).map(
            lambda items: f"{{{', '.join(f'{key}: {value}' for key, value in items)}}}"
        ),
        st.tuples(st.sampled_from("abc"), inner).map(lambda pair: f"&{pair[0]} {pair[1]}"),
        st.sampled_from("abc").map(lambda name: f"{{<<: *{name}, x: *{name}}}"),
    )


PARTS = [*re.findall(r"\w+:|\w+|\S", RECIPE + BUNDLE), "_base_:", "name:", "-"]
WORDS = st.sampled_from(SCALARS) | st.sampled_from(PARTS) | st.text(max_size=9)
TEXTS = st.recursive(WORDS, _flow, max_leaves=8)

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.sampled_from(PARTS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    st.binary(max_size=5),
    st.dates(),
    st.sampled_from(["", "x" * 9999, 0, 1, -1, 1e308, "../x", "1.0/255.0", "{braces}", "%s"]),
)
DATA = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=5,
)
"""What YAML can hold."""


# --- texts that claim much ------------------------------------------------------------------------


def _many(rng: random.Random, most: int) -> int:
    """Return a number of any magnitude, or all."""
    return int(most ** min(1.0, 1.2 * rng.random()))


def _aliases(rng: random.Random) -> str:
    """A list of lists of lists, each of which stands there many times."""
    width, depth = rng.randint(2, 12), rng.randint(1, 60)
    form = rng.choice(("[{}]", "{{<<: [{}]}}", "{{x: [{}]}}"))
    rows = ["a0: &a0 {x: 1}"]
    for i in range(depth):
        rows.append(f"a{i + 1}: &a{i + 1} " + form.format(", ".join([f"*a{i}"] * width)))
    return "{" + ", ".join(rows) + "}"


def _deep(rng: random.Random) -> str:
    count, (left, right) = _many(rng, 99_999), rng.choice(("[]", "{}"))
    return rng.choice((left * count + right * count, left * count, "[\n" * count, "&a [" * count))


def _keys(rng: random.Random) -> str:
    return "{" + ", ".join(f"k{i}: {i}" for i in range(_many(rng, 20_000))) + "}"


def _items(rng: random.Random) -> str:
    item = rng.choice(("1", "x", "{X: }", "{name: Y, a: 1}", "*a", "{ResizeImage: 3}"))
    return "[" + f"{item}, " * _many(rng, 5_000) + "]"


def _text(rng: random.Random) -> str:
    form = rng.choice(("{}", "'{}'", '"{}"', "# {}", "&{} x", "*{}", "!{} x", "{{{}: x}}"))
    return form.format(rng.choice(["x9", "'", "#", "a\n", ".\r", "中"]) * _many(rng, 2_000_000))


def _long_number(rng: random.Random) -> str:
    start, piece = rng.choice((("", "9"), ("0x", "f"), ("0b", "1"), ("1", ":59"), ("1.", "9")))
    return start + piece * _many(rng, 300_000)


BOMBS: List[Callable[[random.Random], str]] = [_aliases, _deep, _keys, _items, _text, _long_number]


# --- inputs: texts with something in the place of a value -----------------------------------------


@cache
def _loaded(text: str) -> Any:
    return yaml.safe_load(text)


@cache
def _texts() -> List[str]:
    return drawn(TEXTS)


@cache
def _data() -> List[Any]:
    return drawn(DATA)


@cache
def _keys_of_data() -> List[Any]:
    return drawn(PLAIN)


def _changed(text: str, rng: random.Random) -> str:
    """Put texts where values stand, or before a line."""
    for _ in range(rng.randint(1, 2)):
        value = rng.choice(BOMBS)(rng) if rng.random() < 0.2 else rng.choice(_texts())
        places = [found.span() for found in re.finditer(r"(?<=[:\-] )\S.*|^", text, re.M)]
        start, end = rng.choice(places)
        text = text[:start] + value + ("" if start < end else "\n") + text[end:]
    return text


def _replaced(text: str, rng: random.Random) -> str:
    """Put other values and keys in the place of those of a text."""
    data = copy.deepcopy(_loaded(text))
    for _ in range(rng.randint(1, 4)):
        home = data
        while isinstance(home, (dict, list)) and home:
            key = rng.choice(list(home)) if isinstance(home, dict) else rng.randrange(len(home))
            if rng.random() < 0.3 or not isinstance(home[key], (dict, list)):
                break
            home = home[key]
        else:
            continue
        value = home.pop(key) if rng.random() < 0.3 else rng.choice(_data())
        if isinstance(home, list):
            home.insert(key, value)
        else:
            home[rng.choice([key, key, rng.choice(_keys_of_data())])] = value
    return yaml.dump(data, Dumper=DUMPER, allow_unicode=rng.random() < 0.5)


def _hostile(text: str, rng: random.Random) -> bytes:
    """Return a text that is damaged, or has something else in the place of values."""
    if rng.random() < 0.2:
        return damaged(text.encode(), rng)
    change = _changed if rng.random() < 0.4 else _replaced
    return change(text, rng).encode("utf-8", "surrogatepass")


@pytest.fixture(autouse=True)
def ready(tmp_path: Path) -> Iterator[None]:
    """Have all modules loaded before processes are made, and no warnings shown."""
    logging.getLogger("ppcls").setLevel(logging.ERROR)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    load_config(str(tmp_path / "recipe.yaml"))
    (tmp_path / "inference.yml").write_text(BUNDLE)
    read_description(tmp_path)
    yield
    logging.getLogger("ppcls").setLevel(logging.NOTSET)


def test_configuration_files(tmp_path: Path) -> None:
    names = ["base.yaml", "child.yaml", "recipe.yaml", ".", "x\0", "y" * 300, "link/base.yaml"]
    (tmp_path / "link").symlink_to(".")

    def make(rng: random.Random) -> bytes:
        base = _hostile(RECIPE, rng) if rng.random() < 0.8 else RECIPE.encode()
        named = [rng.choice(names[: rng.choice((1, 7))]) for _ in range(_many(rng, 5_000))]
        child = CHILD if rng.random() < 0.7 else f"_base_: {named!r}\n"
        return base + b"\f" + (_hostile(child, rng) if rng.random() < 0.2 else child.encode())

    def read(files: bytes) -> Any:
        base, _, child = files.partition(b"\f")
        (tmp_path / "base.yaml").write_bytes(base)
        (tmp_path / "child.yaml").write_bytes(child)
        return load_config(str(tmp_path / "child.yaml")).Global.epochs

    found = attack("configuration files", make, read, tmp_path, LIMITS)
    assert found.refused > found.inputs / 4
    expect_no_failure(found, tmp_path)


KEYS = [
    *("Global.epochs", "Global.output_dir", "Global.seed", "Arch", "Arch.name", "Loss.Train.0"),
    *("Optimizer.lr.learning_rate", "DataLoader.Train", "DataLoader.Eval.loader.num_workers"),
    *("DataLoader.Train.dataset.transform_ops", "_base_", "Loggers", "Infer.batch_size"),
]
ODD_KEYS = ["0", "1", "-1", "²", "", " ", "\0", "name", "~", "<<"]
ODD_KEYS += ["9" * 5000, "x" * 999, "a." * 999]


def test_overrides(tmp_path: Path) -> None:
    def value(rng: random.Random) -> str:
        if rng.random() < 0.1:
            return rng.choice(BOMBS)(rng)
        data = yaml.dump(rng.choice(_data()), Dumper=DUMPER, default_flow_style=True)
        return rng.choice([rng.choice(_texts()), data, "1"])

    def make(rng: random.Random) -> List[str]:
        found = []
        for _ in range(rng.choice((1, 1, 2, 30))):
            odd = [rng.choice(ODD_KEYS) for _ in range(rng.choice((0, 0, 1, 9)))]
            path = [rng.choice(KEYS), *odd]
            text = f"{'.'.join(path[rng.choice((0, 0, 0, 1)) :])}={value(rng)}"
            found.append(rng.choice((text, text, text, f"~{text.partition('=')[0]}", text[:9])))
        return found

    def read(overrides: List[str]) -> Any:
        return load_config(str(tmp_path / "recipe.yaml"), overrides).Global.epochs

    found = attack("overrides", make, read, tmp_path, LIMITS)
    assert found.refused > found.inputs / 4
    expect_no_failure(found, tmp_path)


def test_descriptions_of_bundles(tmp_path: Path) -> None:
    def read(text: bytes) -> Any:
        (tmp_path / "inference.yml").write_bytes(text)
        return read_description(tmp_path).files_of_formats()

    found = attack(
        "descriptions of bundles", lambda rng: _hostile(BUNDLE, rng), read, tmp_path, LIMITS
    )
    assert found.refused > found.inputs / 4
    expect_no_failure(found, tmp_path)
