"""The tables of latencies: PaddleClas' of a V100 and a T4 with what was measured here beside them,
and all that was measured here.

Published numbers are in italics, those measured here bold, as in the other tables of networks.
"""

from __future__ import annotations

from typing import Optional

from ppcls.arch.latency import (
    BATCH_SIZES,
    MeasuredLatencies,
    measured_latencies,
    published_latencies,
)
from ppcls.commands.model_tables import ENGINES, NOTHING, Words, milliseconds
from ppcls.text import markdown_table, network_order

PRECISIONS = ("fp32", "bf16", "int8")
"""Those that CPUs compute in; they have no fast float16."""

_LEFT = [0]
_CPUS = ("cores", "threads")


def v100_table(words: Words = str) -> str:
    """Return the V100's table, float32 and one image; beside it the fastest engine here."""
    head = [words(text) for text in ("Network", "Crop size", "Resize short size")]
    head += ["*V100 FP32 (ms)*", *(f"**CPU {name.upper()} (ms)**" for name in PRECISIONS)]
    rows = [head]
    for name, row in published_latencies().networks.items():
        cells = [name, str(row.crop), str(row.resize), _published(row.v100_fp32)]
        rows.append([*cells, *(_fastest(name, precision, 1) for precision in PRECISIONS)])
    return markdown_table(rows, _LEFT)


def t4_table(words: Words = str) -> str:
    """Return the rows of the T4's table: float16 and float32, three sizes of batches; beside it the
    fastest engine here.
    """
    head = [words(text) for text in ("Network", "Crop size", "Resize short size")]
    head += [f"*T4 {name} {size} (ms)*" for name in ("FP16", "FP32") for size in BATCH_SIZES]
    kinds = [(name, size) for name in PRECISIONS for size in BATCH_SIZES]
    rows = [[*head, *(f"**CPU {name.upper()} {size} (ms)**" for name, size in kinds)]]
    for name, row in published_latencies().networks.items():
        if row.t4_fp16 and row.t4_fp32:
            cells = [name, str(row.crop), str(row.resize)]
            cells += map(_published, [*row.t4_fp16, *row.t4_fp32])
            rows.append([*cells, *(_fastest(name, *kind) for kind in kinds)])
    return markdown_table(rows, _LEFT)


def engines_table(words: Words = str) -> str:
    """Return a row for each network and size of batch, with a column for each engine in each
    precision that was measured.
    """
    found = measured_latencies()
    kinds = [(p, e) for p in PRECISIONS for e in ENGINES if _has(found, p, e)]
    rows = [[words("Network"), words("Batch")]]
    rows[0] += [f"**{ENGINES[engine]} {name.upper()} (ms)**" for name, engine in kinds]
    cases = {(row.network, row.batch_size) for row in found.rows}
    for network, size in sorted(cases, key=lambda case: (network_order(case[0]), case[1])):
        times = (found.find(network, engine, name, size) for name, engine in kinds)
        rows.append([network, str(size), *map(milliseconds, times)])
    return markdown_table(rows, _LEFT)


def machine_table(words: Words = str) -> str:
    """Return what the figures were measured on."""
    found = measured_latencies()
    about = found.environment
    versions = about.get("versions", {})
    rows = [[words("Machine"), words("Value")]]
    rows += [
        [words("Processor"), str(about.get("cpu", NOTHING))],
        [words("Instructions"), ", ".join(about.get("flags", [])) or NOTHING],
        [
            words("Cores, threads"),
            f"{about.get('cores', NOTHING)}, {about.get('threads', NOTHING)}",
        ],
        [words("Versions"), ", ".join(f"{key} {versions[key]}" for key in versions) or NOTHING],
        [words("Load average"), " ".join(map(str, about.get("load_average") or [])) or NOTHING],
        [words("Date"), found.created or NOTHING],
    ]
    return markdown_table(rows, [0, 1])


def _has(found: MeasuredLatencies, precision: str, engine: str) -> bool:
    return any((row.precision, row.engine) == (precision, engine) for row in found.rows)


def _fastest(network: str, precision: str, size: int) -> str:
    return milliseconds(measured_latencies().fastest(network, precision, size))


def _published(value: Optional[float]) -> str:
    return NOTHING if value is None else f"*{value}*"
