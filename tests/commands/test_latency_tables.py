"""The tables of latencies, as the pages show them."""

from __future__ import annotations

import re
from typing import List

import pytest

from ppcls.arch.latency import MeasuredLatencies, MeasuredLatency
from ppcls.commands import latency_tables
from ppcls.commands.latency_tables import engines_table, machine_table, t4_table, v100_table


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that a little was measured."""
    figures = [
        ("VGG16", "paddle", "fp32", 1, 90.0),
        ("VGG16", "openvino", "fp32", 1, 123.4),
        ("VGG16", "openvino", "bf16", 8, 45.67),
        ("ResNet50", "onnxruntime", "fp32", 4, 1.234),
    ]
    names = ("network", "engine", "precision", "batch_size", "milliseconds")
    rows = [MeasuredLatency(**dict(zip(names, figure)), queries=7) for figure in figures]
    about = {"cpu": "A processor", "cores": 2, "threads": 2, "versions": {"openvino": "1"}}
    found = MeasuredLatencies(created="2025-01-02", environment=about, rows=rows)
    monkeypatch.setattr(latency_tables, "measured_latencies", lambda: found)


def cells(table: str, first: str, second: str = "") -> List[str]:
    """The cells of the row that begins so."""
    found = re.search(rf"^\| {re.escape(first)} +\| *{second}.*$", table, re.MULTILINE)
    assert found, first
    return [cell.strip() for cell in found[0].strip("|").split("|")]


@pytest.mark.usefixtures("measured")
def test_published_figures_are_in_italics_and_ours_bold_beside_them() -> None:
    row = cells(v100_table(), "VGG16")
    assert row == ["VGG16", "224", "256", "*2.616*", "**90**", "–", "–"]
    assert cells(v100_table(), "Network")[3:5] == ["*V100 FP32 (ms)*", "**CPU FP32 (ms)**"]


@pytest.mark.usefixtures("measured")
def test_batches_of_the_t4_have_columns_here_too() -> None:
    head, row = cells(t4_table(), "Network"), cells(t4_table(), "VGG16")
    by_name = dict(zip(head, row))
    assert by_name["*T4 FP16 8 (ms)*"] == "*12.50913*"
    assert by_name["*T4 FP32 1 (ms)*"] == "*5.61769*"
    assert by_name["**CPU FP32 1 (ms)**"] == "**90**"
    assert by_name["**CPU BF16 8 (ms)**"] == "**45.7**"
    assert by_name["**CPU INT8 1 (ms)**"] == "–"
    assert "ACNet" not in t4_table()


@pytest.mark.usefixtures("measured")
def test_each_engine_that_was_measured_has_a_column() -> None:
    table = engines_table()
    engines = ["Paddle FP32", "ONNX Runtime FP32", "OpenVINO FP32", "OpenVINO BF16"]
    assert cells(table, "Network")[2:] == [f"**{engine} (ms)**" for engine in engines]
    assert cells(table, "ResNet50")[1:] == ["4", "–", "**1.23**", "–", "–"]
    assert cells(table, "VGG16", "1")[1:] == ["1", "**90**", "–", "**123**", "–"]


@pytest.mark.usefixtures("measured")
def test_the_machine_is_named() -> None:
    assert cells(machine_table(), "Processor")[1] == "A processor"
    assert cells(machine_table(), "Cores, threads")[1] == "2, 2"
    assert cells(machine_table(), "Versions")[1] == "openvino 1"


def test_nothing_measured_is_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_tables, "measured_latencies", MeasuredLatencies)
    assert cells(v100_table(), "VGG16")[3:] == ["*2.616*", "–", "–", "–"]
    assert len(engines_table().splitlines()) == 2
    assert cells(machine_table(), "Processor")[1] == "–"
