"""What files note is checked when they are read: one message names the file and the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from ppcls.engine.checkpoint import TrainState, load_checkpoint
from ppcls.errors import CheckpointError
from ppcls.weights import read
from ppcls.weights.formats.safetensors import write_safetensors
from ppcls.weights.metadata import LONGEST, noted_config, parse_metadata
from ppcls.weights.weight_file import write

STATE = dict(TrainState(epoch=1, batch=2, step=7, best_value=0.5, running={"loss_sum": 1.5}))
NOTED: Dict[str, Any] = {
    "format": 1,
    "kind": "checkpoint",
    "arch": "LeNet",
    "class_num": 2,
    "in_channels": 1,
    "arguments": {"act": "relu"},
    "class_names": ["cat", "dog"],
    "seed": 0,
    "samples": 50,
    "images": "0123456789abcdef",
    "batches": 5,
    "update_freq": 1,
    "asked_epochs": 4,
    "kept_epochs": 2,
    "config": "Global: {epochs: 2}\n",
    "state": STATE,
}


def noting(path: Path, text: str) -> Path:
    """Write a checkpoint of one array that notes `text`."""
    write_safetensors(path, {"model/w": np.ones(1, np.float32)}, {"ppcls": text})
    return path


def refusal(path: Path, noted: Dict[str, Any]) -> str:
    """What is said of a checkpoint that notes this."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(noting(path / "a.safetensors", json.dumps(noted)))
    message = str(caught.value)
    assert message.startswith(str(path / "a.safetensors")) and "\n" not in message
    assert len(message) < 1000
    return message


def test_what_is_right_is_read_and_unknown_keys_are_kept(tmp_path: Path) -> None:
    noted = {**NOTED, "of_a_later_version": [{"x": 1}], "from": "resnet18 of timm"}
    noted["metrics"] = {"top1": 0.5, "loss": float("nan")}
    path = noting(tmp_path / "a.safetensors", json.dumps(noted))
    assert (
        read(path).metadata.items() >= {**noted, "metrics": read(path).metadata["metrics"]}.items()
    )
    assert dict(load_checkpoint(path).state) == STATE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "1"),
        ("format", 0),
        ("format", None),
        ("format", True),
        ("kind", "checkpoints"),
        ("kind", 3),
        ("arch", 3),
        ("arch", None),
        ("arch", "Le\nNet"),
        ("arch", "x" * 1000),
        ("class_num", "ten"),
        ("class_num", 0),
        ("class_num", 2**64),
        ("class_num", 2.0),
        ("class_num", float("nan")),
        ("in_channels", [3]),
        ("in_channels", -1),
        ("arguments", ["act"]),
        ("arguments", {"a\x1b[2J": 1}),
        ("class_names", "cat"),
        ("class_names", []),
        ("class_names", ["cat", 3]),
        ("class_names", [1] * 100_000),
        ("epoch", 1e308),
        ("step", float("inf")),
        ("metrics", 0.5),
        ("metrics", {"top1": "good"}),
        ("seed", "0"),
        ("samples", 0),
        ("images", 5),
        ("batches", None),
        ("update_freq", 0),
        ("asked_epochs", 0),
        ("kept_epochs", "two"),
        ("config", {"Global": {}}),
        ("state", None),
        ("state", []),
    ],
)
def test_a_wrong_value_is_named_with_its_key(tmp_path: Path, key: str, value: Any) -> None:
    message = refusal(tmp_path, {**NOTED, key: value})
    assert f"notes in its files is damaged in this one: {key}" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epoch", 1e308),
        ("epoch", -1),
        ("epoch", 2**60),
        ("batch", "2"),
        ("step", None),
        ("step", True),
        ("best_value", float("nan")),
        ("best_value", "0.5"),
        ("best_epoch", 1.5),
        ("reference", []),
        ("evaluations_without_gain", -1),
        ("finished", 1),
        ("bad_samples", [1, -1]),
        ("bad_samples", {"1": 1}),
        ("bad_samples", [0.5] * 100_000),
        ("running", {"images": float("inf")}),
        ("running", {"images": 1e300}),
        ("running", {"images": [1]}),
        ("loss_scaling", 1),
        ("loss_scaling", {"scale": [[1.0]]}),
        ("of_nobody", 1),
    ],
)
def test_a_wrong_position_is_named_with_its_key(tmp_path: Path, key: str, value: Any) -> None:
    message = refusal(tmp_path, {**NOTED, "state": {**STATE, key: value}})
    assert f"the position of the run is not in it: state.{key}" in message


@pytest.mark.parametrize("key", ["epoch", "batch", "step"])
def test_a_position_without_one_of_its_numbers_is_none(tmp_path: Path, key: str) -> None:
    state = {name: value for name, value in STATE.items() if name != key}
    assert f"state.{key} is missing" in refusal(tmp_path, {**NOTED, "state": state})
    assert "state.epoch is missing" in refusal(tmp_path, {"kind": "checkpoint"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting property name"),
        ("[1]", "no JSON object"),
        ('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", "inside each other"),
        ('{"x": ' + "[" * 40 + "]" * 40 + "}", "more than 32 values inside each other"),
        ('{"class_num": ' + "9" * 100_000 + "}", "a number of 100000 digits"),
        ('{"arch": "\\ud800"}', "surrogates not allowed"),
        (" " * LONGEST + "{}", "8388610 letters, where at most 8388608 are read"),
    ],
)
def test_a_text_that_is_no_metadata(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_metadata(text)
    with pytest.raises(CheckpointError, match=f"damaged in this one: .*{words}"):
        read(noting(tmp_path / "a.safetensors", text))


def test_no_more_is_noted_than_is_read_again(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="what it is to note has 8388[0-9]+ letters"):
        write(tmp_path / "a", {}, "weights", {"class_names": ["x" * LONGEST]})
    assert not list(tmp_path.iterdir())


def test_a_noted_configuration_comes_back() -> None:
    assert noted_config(NOTED, "f") == {"Global": {"epochs": 2}}
    assert noted_config({}, "f") == {}


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "[1, 2]",
        "text",
        "a: !!timestamp x",
        "a: 2024-99-99",
        "a: 0x",
        "? {a: 1}\n: 2",
        "a: &a [*a]",
        "a: " + "[" * 100 + "]" * 100,
        "[" * 5_000,
        "a: !!python/object/apply:os.system [ls]",
        "a: \x00",
        "# " + "x" * (5 << 20),
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(
            f"{n}: &{n} [{','.join(['*' + p] * 10)}]\n" for p, n in zip("abcdefgh", "bcdefghi")
        ),
    ],
)
def test_a_noted_configuration_that_is_none(text: str) -> None:
    try:
        assert noted_config({"config": text}, "f")["a"] == "0x"
    except CheckpointError as error:
        assert str(error).startswith("f: the configuration noted in it (config) is damaged: ")
        assert "\n" not in str(error) and len(str(error)) < 500
