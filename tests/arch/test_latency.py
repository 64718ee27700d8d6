"""Latencies: the published ones are copied exactly, the measured ones kept of one machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ppcls import registry
from ppcls.arch.latency import (
    MEASURED,
    MeasuredLatencies,
    MeasuredLatency,
    measured_latencies,
    published_latencies,
    read_measured,
)
from ppcls.errors import ConfigError


def row(network: str, engine: str, milliseconds: float, **changes: Any) -> MeasuredLatency:
    """A figure of float32, one image, unless something else is said."""
    values = {"precision": "fp32", "batch_size": 1, "queries": 9, **changes}
    return MeasuredLatency(network=network, engine=engine, milliseconds=milliseconds, **values)


def found(cpu: str, *rows: MeasuredLatency) -> MeasuredLatencies:
    """Figures of a machine."""
    return MeasuredLatencies(environment={"cpu": cpu, "cores": 2}, rows=list(rows))


def test_the_published_tables_are_copied_exactly(shared_dir: Path) -> None:
    files = sorted((shared_dir / "seeds").glob("00[01]*.txt"))
    if len(files) < 2:
        pytest.skip("the published tables are not on this machine")
    chinese, english = (file.read_text("utf-8") for file in files)
    v100 = _rows(chinese.split("FP32预测速度")[1])
    t4 = _rows(english.split("based on T4 GPU")[1])
    copied: Dict[str, List[float]] = {}
    copied_t4: Dict[str, List[float]] = {}
    for name, one in published_latencies().networks.items():
        copied[name] = [one.crop, one.resize, one.v100_fp32]
        if one.t4_fp16 and one.t4_fp32:
            copied_t4[name] = [one.crop, one.resize, *one.t4_fp16, *one.t4_fp32]
    assert copied == v100
    assert copied_t4 == t4
    assert _rows(english.split("based on V100")[1].split("4. Inference")[0]).items() <= v100.items()


def _rows(text: str) -> Dict[str, List[float]]:
    """Rows of a table with or without bars: name and numbers."""
    lines = [line.replace("<br>", "").replace("|", " ").split() for line in text.splitlines()]
    return {
        words[0]: [float(word) for word in words[1:]]
        for words in lines
        if len(words) >= 4 and all(re.fullmatch(r"[\d.]+", word) for word in words[1:])
    }


def test_published_networks_are_ours() -> None:
    assert set(published_latencies().networks) <= set(registry.names("arch"))
    assert {row.network for row in measured_latencies().rows} <= set(registry.names("arch"))


def test_figures_are_found_by_what_they_are_of() -> None:
    one = found("a", row("VGG16", "paddle", 9.0), row("VGG16", "openvino", 7.0, batch_size=4))
    assert one.find("VGG16", "paddle", "fp32", 1) == 9.0
    assert one.find("VGG16", "paddle", "bf16", 1) is None
    assert one.fastest("VGG16", "fp32", 4) == 7.0
    assert one.fastest("VGG19", "fp32", 4) is None


def test_the_choice_of_auto_is_no_engine_of_its_own() -> None:
    one = found("a", row("VGG16", "paddle", 9.0), row("VGG16", "auto", 8.9))
    assert one.fastest("VGG16", "fp32", 1) == 9.0


def test_new_figures_replace_old_ones_and_keep_others_of_the_same_machine() -> None:
    before = found("a", row("VGG16", "paddle", 9.0), row("VGG19", "paddle", 11.0))
    after = before.replaced(found("a", row("VGG16", "paddle", 8.0)))
    assert [(one.network, one.milliseconds) for one in after.rows] == [
        ("VGG16", 8.0),
        ("VGG19", 11.0),
    ]
    other = before.replaced(found("b", row("VGG16", "paddle", 8.0)))
    assert [one.network for one in other.rows] == ["VGG16"]


def test_a_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    path.write_text('{"rows": [{"network": "VGG16"}]}')
    with pytest.raises(ConfigError, match=r"measured\.json: .*rows\.0\.engine"):
        read_measured(path)


def test_the_file_of_the_toolkit_is_right() -> None:
    assert not MEASURED.is_file() or read_measured(MEASURED).rows
