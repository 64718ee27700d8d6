"""What the trials of a study came to: a table, and the recipe of the best one."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from ppcls.config import to_yaml
from ppcls.engine.loggers.console import format_metric
from ppcls.engine.run_folder import RunFolder
from ppcls.files import write_text
from ppcls.text import shortened, table
from ppcls.yaml_text import read_value

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "interrupted"}
"""What Optuna calls the state of a trial, and how it is told."""


def trial_folder(root: Path, number: int) -> Path:
    """Return the output folder of a trial."""
    return root / f"trial_{number:03d}"


def best_trial(study: Any) -> Optional[Any]:
    """Return the best trial that was trained to its end; None where there is none."""
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    return study.best_trial if done else None


def table_of_trials(study: Any, metric: str) -> str:
    """Return the trials as a table for a terminal, the best first, unfinished ones last."""
    keys = _keys(study)
    short = [key.rpartition(".")[2] for key in keys]
    names = [name if short.count(name) == 1 else key for key, name in zip(keys, short)]
    rows = [["trial", metric, "state", "epochs", *names]]
    for trial in _ordered(study):
        value = "" if trial.value is None else format_metric(metric, trial.value)
        settings = [shortened(_told(trial.params.get(key, "")), 30) for key in keys]
        rows.append([str(trial.number), value, STATES[trial.state.name], _epochs(trial), *settings])
    return table(rows, left=[2])


def write_trials(study: Any, metric: str, root: Path) -> None:
    """Write `results.csv`, and the recipe of the best trial as `best.yaml`."""
    keys = _keys(study)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["trial", metric, "state", "epochs", *keys, "folder"])
    for trial in _ordered(study):
        settings = [trial.params.get(key, "") for key in keys]
        value = "" if trial.value is None else trial.value
        folder = trial_folder(root, trial.number)
        writer.writerow(
            [trial.number, value, STATES[trial.state.name], _epochs(trial), *settings, folder]
        )
    write_text(root / "results.csv", stream.getvalue())
    _write_best(study, metric, root)


def _write_best(study: Any, metric: str, root: Path) -> None:
    best = best_trial(study)
    if best is None:
        return
    own = RunFolder(trial_folder(root, best.number))
    data = read_value(own.config)
    data = {**data, "Global": {**data["Global"], "output_dir": f"{root.parent}_best"}}
    value, count = format_metric(metric, best.value), len(study.trials)
    head = f"# The best of {count} trials ({own.root}): {metric} {value}.\n"
    head += f"# {settings_of(best)}\n"
    write_text(root / "best.yaml", head + to_yaml(data))


def settings_of(trial: Any) -> str:
    """Return what a trial tries, with as many digits as people read."""
    return "  ".join(f"{key}={_told(value)}" for key, value in trial.params.items())


def _keys(study: Any) -> List[str]:
    return list(dict.fromkeys(key for trial in study.trials for key in trial.params))


def _told(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _epochs(trial: Any) -> str:
    """Return after which epoch a trial was judged last."""
    steps: Dict[int, float] = trial.intermediate_values
    return str(max(steps)) if steps else ""


def _ordered(study: Any) -> Sequence[Any]:
    falling = study.direction.name == "MAXIMIZE"

    def place(trial: Any) -> Any:
        done = trial.state.name == "COMPLETE"
        value = trial.value if done else 0.0
        return (not done, -value if falling else value, trial.number)

    return sorted(study.trials, key=place)
