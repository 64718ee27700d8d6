"""What strangers note in safetensors files: read, or refused in words."""

from __future__ import annotations

import copy
import json
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
from hypothesis import strategies as st
from safetensors.numpy import save

from ppcls.engine.checkpoint import TrainState, load_checkpoint
from ppcls.engine.resume import check_position, check_same_run, warn_of_changes
from ppcls.weights import read
from ppcls.weights.network_metadata import check_same_classes
from tests.hostile.harness import Limits, attack_with, drawn, expect_no_failure

pytestmark = pytest.mark.slow

LIMITS = Limits(seconds=5, megabytes=300)

STATE = dict(TrainState(epoch=1, batch=2, step=7, best_value=0.5, running={"loss_sum": 1.5}))
RUN: Dict[str, Any] = {
    "arch": "LeNet",
    "class_num": 2,
    "in_channels": 1,
    "class_names": ["cat", "dog"],
    "seed": 0,
    "samples": 50,
    "images": "0123456789abcdef",
    "batches": 5,
    "update_freq": 1,
    "asked_epochs": 2,
    "kept_epochs": 1,
    "config": "Global: {epochs: 2}\n",
}
NOTED = {"format": 1, "kind": "checkpoint", **RUN, "arguments": {"act": "relu"}, "state": STATE}
NETWORK = SimpleNamespace(class_num=2)
ARRAYS = {"model/w": np.ones(1, np.float32), "optimizer/w": np.zeros((0, 3), np.float32)}

EXTREMES: List[Any] = [
    *(None, True, -1, 0, 1, 2**31, 2**63, 2**64, 10**30, 1e308, float("inf"), float("nan"), 1.5),
    *("", "x" * 5_000, "\x1b[2J\n", "\ud800", [], {}, [[]], {"": None}, [1] * 5_000, ["x"] * 5_000),
]
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
VALUES = st.sampled_from(EXTREMES) | st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
CONFIGS = st.text("&*a:[]{}-!<>|?,'\"#0 \n\t", max_size=40) | st.sampled_from(
    ["a: &a [*a]", "- !!timestamp x", "DataLoader: {Eval: {dataset: 3}}", "? [a]\n: b", "[" * 2_000]
)


@st.composite
def notes(draw: st.DrawFn) -> str:
    """The JSON text of a checkpoint's metadata, with one to three changes."""
    noted = {**NOTED, "state": dict(STATE)}
    for _ in range(draw(st.integers(1, 3))):
        inside = draw(st.booleans()) and isinstance(noted.get("state"), dict)
        group: Dict[str, Any] = noted["state"] if inside else noted  # type: ignore[assignment]
        key = draw(st.sampled_from(["of_another_version", *group]))
        if draw(st.integers(0, 5)) == 0:
            group.pop(key, None)
        else:
            # Of its own: what was drawn may be changed, and even be put into itself.
            group[key] = copy.deepcopy(draw(CONFIGS if key == "config" else VALUES))
    text = json.dumps(noted)
    if draw(st.integers(0, 9)) == 0:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(["", "[" * 9_000, "9" * 9_000, "NaN"]))
    return text


def resumed(path: Path) -> None:
    """Do with a checkpoint all that is done before its arrays are used."""
    file = read(path)
    check_same_classes(file.metadata, NETWORK, str(path))
    checkpoint = load_checkpoint(path)
    check_same_run(path, checkpoint.metadata, RUN)
    check_position(path, checkpoint.state, RUN)
    warn_of_changes(path, checkpoint.metadata, RUN)
    assert checkpoint.state.epoch < 2**53, "no run is as long"


def test_metadata_is_read_or_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"

    def noted(text: str) -> None:
        path.write_bytes(save(ARRAYS, {"ppcls": text}))
        resumed(path)

    summary = attack_with("metadata", drawn(notes()), noted, tmp_path, LIMITS)
    expect_no_failure(summary, tmp_path)
    assert 0 < summary.refused < summary.inputs


DTYPES = st.sampled_from(["F32", "F16", "BOOL", "I64", "BF16", "F8_E4M3", "Q7", "f4", "", None, 4])
NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 8, -1, 2**31, 2**62, 2**63, 2**64, 1.5, "4", None])
SHAPES = st.lists(NUMBERS, max_size=4) | st.just([1] * 70) | st.just([0] * 70)
HEADERS = st.dictionaries(
    st.sampled_from(["a", "b", "", "__metadata__", "model/w", "x" * 300, "\u0000"]),
    st.fixed_dictionaries(
        {"dtype": DTYPES, "shape": SHAPES, "data_offsets": st.lists(NUMBERS, max_size=3)}
    )
    | st.dictionaries(st.text(max_size=3), PLAIN, max_size=2),
    max_size=4,
)
SOUND = st.lists(SHAPES.filter(lambda shape: 0 in shape), min_size=1, max_size=4).map(
    lambda shapes: {
        f"w{n}": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
        for n, shape in enumerate(shapes)
    }
)


def test_lists_of_arrays_are_read_or_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"

    def listed(given: Tuple[Dict[str, Any], bytes]) -> None:
        text = json.dumps(given[0]).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + given[1])
        read(path)

    inputs = drawn(st.tuples(HEADERS | SOUND, st.binary(max_size=16)))
    summary = attack_with("lists of arrays", inputs, listed, tmp_path, LIMITS)
    expect_no_failure(summary, tmp_path)
    assert 0 < summary.refused < summary.inputs
