"""The results for people: tables of Markdown, and a CSV file with a row for each measurement."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any, Dict, List, Optional

from ppcls.benchmark.results import Answers, Measurement, NetworkFacts, Quantile, Results, Subject
from ppcls.benchmark.scenarios import SCENARIOS
from ppcls.benchmark.statistics import UNSTABLE
from ppcls.text import markdown_table, megabytes

MISSING = "-"
_LEAST = {90.0: 64, 99.0: 662}
"""Queries that MLPerf's early stopping needs for a percentile."""


def as_markdown(results: Results) -> str:
    """Return all tables, and what to know of them."""
    parts = [
        "# Deployment, measured",
        _about(results),
        *_scenario_tables(results),
        _starts_and_accuracy(results),
        _loadgen_table(results),
        _networks_table(results),
        _list("Left out", results.left_out),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(results: Results) -> str:
    found, settings = results.environment, results.settings
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    lines = [
        f"{found['cpu']}, {found['cores']} cores ({', '.join(found['flags'])}), "
        f"{found['threads']} threads, load {found['load_average']} at the beginning, "
        f"{found.get('load_average_at_the_end')} at the end",
        f"Python {found['python']}, ppcls {found['ppcls']}, {versions}",
        f"{settings['images_found']} images of {settings['images']}, in random order (seed "
        f"{settings['seed']}); engines take turns in random order; times in ms, in brackets what "
        "bounds the true value with 95 % confidence; unstable: the coefficient of variation (CV) "
        f"is above {UNSTABLE:.0%}",
    ]
    if not results.mlperf_length:
        asked = settings["mlperf_asks_for"].items()
        rules = "; ".join(f"{SCENARIOS[name].title} {rule}" for name, rule in asked)
        lines.append(f"**Not of MLPerf's length**, which is: {rules}")
    return "\n".join(f"- {line}" for line in lines)


# --- scenarios ---------------------------------------------------------------------------------


def _scenario_tables(results: Results) -> List[str]:
    parts = []
    for scenario in SCENARIOS:
        for included in (False, True):
            found = [
                one
                for one in results.measurements
                if one.scenario == scenario and one.preprocessing == included
            ]
            if found:
                words = "included" if included else "excluded"
                title = f"## {SCENARIOS[scenario].title.capitalize()}, preprocessing {words}"
                parts.append(f"{title}\n\n{_scenario_table(scenario, found, results)}")
    return parts


def _scenario_table(scenario: str, found: List[Measurement], results: Results) -> str:
    asked = [one.percentile.percent for one in found if one.percentile]
    percent = asked[0] if asked else SCENARIOS[scenario].percent
    head = ["Network", "Batch", "Engine", "Precision", "Queries", "Median"]
    if percent is not None:
        head.append(f"p{percent:g}")
    if percent in _LEAST:
        head.append(f"p{percent:g} by MLPerf (n >= {_LEAST[percent]})")
    head += ["CV", "Images/s"]
    head += ["Queries/s held"] if scenario == "server" else ["/ bare", "/ fp32", "/ fastest bare"]
    rows = [[*head, "Notes"]]
    for one in found:
        rows.append(_row(one, results.subjects[one.subject], scenario, percent))
    return markdown_table(rows, left=[0, 2, 3, len(rows[0]) - 1])


def _row(one: Measurement, subject: Subject, scenario: str, percent: Optional[float]) -> List[str]:
    row = [subject.network, str(one.batch_size), subject.engine_name, subject.precision]
    row += [f"{one.queries:,}", interval(one.median)]
    if percent is not None:
        row.append(interval(one.percentile))
    if percent in _LEAST:
        row.append(_milliseconds(one.early_stopping))
    row += [_percent(one.variation), _number(one.images_per_second)]
    row += (
        [_number(one.rate)]
        if scenario == "server"
        else [_ratio(one.to_bare), _ratio(one.to_fp32), _ratio(one.to_fastest_bare)]
    )
    return [*row, "; ".join([*one.notes, *_reasons(one)]) or MISSING]


def _reasons(one: Measurement) -> List[str]:
    quantiles = [found for found in (one.median, one.percentile) if found]
    reasons = [found.reason for found in quantiles if found.value is None]
    return [*reasons, *([f"the fastest bare: {one.fastest_bare}"] if one.fastest_bare else [])]


def interval(found: Optional[Quantile]) -> str:
    """Return a quantile of seconds in milliseconds with its interval, or a dash."""
    if found is None or found.value is None:
        return MISSING
    bounds = " to ".join(_milliseconds(end) for end in (found.low, found.high))
    return f"{_milliseconds(found.value)} ({bounds})"


def _milliseconds(seconds: Optional[float]) -> str:
    return (
        MISSING
        if seconds is None
        else f"{1e3 * seconds:.3g}"
        if seconds < 1
        else f"{1e3 * seconds:.0f}"
    )


def _ratio(found: Optional[Quantile]) -> str:
    if found is None or found.value is None:
        return MISSING
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _percent(fraction: Optional[float]) -> str:
    return MISSING if fraction is None else f"{fraction:.1%}"


def _number(value: Optional[float]) -> str:
    return MISSING if value is None else f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


# --- the rest ----------------------------------------------------------------------------------


def _starts_and_accuracy(results: Results) -> str:
    rows = [["Network", "Engine", "Precision", "Images", "Top-1", "Top-5"]]
    rows[0] += ["Start (s)", "import", "open", "first", "Peak memory"]
    for one in results.answers:
        if one.accuracy or one.start:
            subject = results.subjects[one.subject]
            rows.append([subject.network, subject.engine, subject.precision, *_answer_cells(one)])
    if len(rows) == 1:
        return ""
    return f"## Accuracy, and start of a new process\n\n{markdown_table(rows, left=[0, 1, 2])}"


def _answer_cells(one: Answers) -> List[str]:
    cells = [MISSING] * 8
    if one.accuracy:
        shares = [f"{100 * share:.2f} %" for share in (one.accuracy.top1, one.accuracy.top5)]
        cells[:3] = [f"{one.accuracy.images:,}", *shares]
    if one.start:
        times = [one.start.total, one.start.imports, one.start.opening, one.start.first]
        cells[3:] = [*(f"{time:.2f}" for time in times), megabytes(one.start.peak_memory)]
    return cells


def _loadgen_table(results: Results) -> str:
    rows = [["Network", "Batch", "Engine", "Precision", "Scenario", "Figure"]]
    rows[0] += ["MLPerf LoadGen", "Here", "Ratio"]
    for one in results.loadgen:
        subject, is_time = results.subjects[one.subject], one.unit == "s"
        figure = "p90 (ms)" if is_time else "images/s"
        shown = [_milliseconds(x) if is_time else _number(x) for x in (one.theirs, one.ours)]
        ratio = f"{one.ours / one.theirs:.3f}" if one.ours and one.theirs else MISSING
        row = [subject.network, str(one.batch_size), subject.engine_name, subject.precision]
        rows.append([*row, SCENARIOS[one.scenario].title, figure, *shown, ratio])
    if len(rows) == 1:
        return ""
    return f"## Beside MLPerf's load generator\n\n{markdown_table(rows, left=[0, 2, 3, 4, 5])}"


def _networks_table(results: Results) -> str:
    rows = [["Network", "Input", "Weights", "Published top-1", "Labels", "Formats"]]
    for one in results.networks:
        rows.append([one.name, "x".join(map(str, one.input_shape)), *_facts_cells(one)])
    return f"## Networks\n\n{markdown_table(rows, left=[0, 1, 2, 4, 5])}"


def _facts_cells(one: NetworkFacts) -> List[str]:
    published = MISSING if one.published_top1 is None else f"{100 * one.published_top1:.2f} %"
    return [one.weights, published, one.labels, ", ".join(one.formats)]


def _list(title: str, lines: List[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def as_csv(results: Results) -> str:
    """Return a row for each measurement; times in seconds."""
    rows = [_flat(one, results.subjects[one.subject]) for one in results.measurements]
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(one: Measurement, subject: Subject) -> Dict[str, Any]:
    row: Dict[str, Any] = subject.model_dump(exclude={"about"})
    for key, value in one:
        if key in ("median", "percentile", "to_bare", "to_fp32", "to_fastest_bare"):
            for part in ("value", "low", "high"):
                row[f"{key}_{part}"] = getattr(value, part, None)
        elif key != "subject":
            row[key] = "; ".join(value) if key == "notes" else value
    return row
