"""What is remembered of engines: a file is believed as a whole or not at all."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import strategies as st

from ppcls.inference.engines.auto import _recalled
from tests.hostile.harness import Limits, attack_with, drawn, expect_no_failure

pytestmark = pytest.mark.slow

LIMITS = Limits(seconds=5, megabytes=100)
NAMES = ["paddle", "onnxruntime"]

NUMBERS = st.floats() | st.integers() | st.sampled_from([10**400, True, None, "1", "nan", [1.0]])
KEYS = st.sampled_from([*NAMES, "openvino", "", "\ud800"])
TEXTS = (
    st.dictionaries(KEYS, NUMBERS, max_size=3).map(json.dumps)
    | st.dictionaries(st.sampled_from(NAMES), st.floats(1e-3, 1e3), min_size=1).map(json.dumps)
    | st.sampled_from(
        ["[" * 5_000, '{"a":' * 5_000, "9" * 5_000, " " * 100_000, '{"paddle": 1e999}']
    )
)
CONTENTS = TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=60)


def test_what_is_remembered_of_engines(tmp_path: Path) -> None:
    path = tmp_path / "remembered.json"
    seen = []

    def recalled(content: bytes) -> None:
        path.write_bytes(content)
        found = _recalled(path, NAMES)
        assert set(found) <= set(NAMES)
        assert all(math.isfinite(value) and value > 0 for value in found.values())
        seen.append(bool(found))

    inputs = drawn(CONTENTS)
    summary = attack_with("remembered engines", inputs, recalled, tmp_path, LIMITS)
    expect_no_failure(summary, tmp_path)
    for content in inputs:
        recalled(content)
    assert 0 < sum(seen) < len(seen), "some are believed"
