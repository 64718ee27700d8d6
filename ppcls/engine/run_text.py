"""The summary of a run for a terminal: what it was, how far it came, how good it is, what next."""

from __future__ import annotations

import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ppcls.engine.loggers import Record
from ppcls.engine.loggers.console import describe_metrics, format_metric
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.run_summary import RunSummary, find_runs, read_run
from ppcls.errors import UsageError
from ppcls.text import first_few, megabytes, shortened, sparkline, table

_LAST = 5
"""How many epochs the table shows."""

Line = Tuple[str, str]
"""What is told, and what is told of it."""


def describe_run(root: Path) -> str:
    """Summarise the run of a folder in a text for a terminal.

    Raises:
        UsageError: the folder holds no run.
    """
    run = read_run(root)
    lines = [
        ("run", str(root)),
        ("network", _network(run)),
        ("weights", _start(run)),
        *_data(run),
        ("state", _state(run)),
        *_best(run),
        *([("time", str(timedelta(seconds=round(run.seconds))))] if run.seconds else []),
        *(("unreadable", problem) for problem in run.problems),
        *_curves(run),
    ]
    parts = [
        _told(lines),
        _last_epochs(run),
        _told(_files(run)),
        _told(_next_steps(run)),
    ]
    return "\n\n".join(part for part in parts if part)


def table_of_runs(root: Path) -> str:
    """List the runs at and below a folder, a line each.

    Raises:
        UsageError: there is none.
    """
    runs = find_runs(root)
    if not runs:
        found = "no run in" if root.is_dir() else "no folder"
        raise UsageError(
            f"there is {found} {root}; `ppcls train -c FILE` makes runs, `ppcls show` lists those "
            "below output/, and `ppcls show FOLDER` those below another folder"
        )
    rows = [["run", "network", "best", "state"]]
    for run in map(read_run, runs):
        best = dict(_best(run)).get("best", "").partition("  ")[0]
        arch = run.metadata.get("arch") or run.value("Arch", "name") or "?"
        state = _state(run).partition(";")[0]
        rows.append([str(run.folder.root), shortened(str(arch), 40), shortened(best, 80), state])
    return table(rows, left=[0, 1, 2, 3])


def _told(lines: Sequence[Line]) -> str:
    return table([[name, shortened(text, 500)] for name, text in lines], left=[0, 1])


# --- what it was ----------------------------------------------------------------------------------


def _network(run: RunSummary) -> str:
    name = run.metadata.get("arch") or run.value("Arch", "name") or "unknown"
    classes = run.metadata.get("class_names") or []
    named = f", {len(classes)} classes ({first_few(classes, 5)})" if classes else ""
    return f"{name}{named}"


def _start(run: RunSummary) -> str:
    own = run.value("Global", "pretrained_model")
    published = run.value("Arch", "pretrained")
    if own or isinstance(published, str):
        return f"started from {own or published}"
    return "started from the published ones" if published else "started at random"


def _data(run: RunSummary) -> List[Line]:
    found = []
    for name, label in (("Train", "trained on"), ("Eval", "judged by")):
        dataset = _arguments(run.value("DataLoader", name, "dataset"))
        place = dataset.get("cls_label_path") or dataset.get("image_root")
        if place:
            found.append((label, f"{place}{_count(run, name)}"))
    return found


def _count(run: RunSummary, name: str) -> str:
    judged = [record["images"] for record in run.records if "images" in record]
    images = run.metadata.get("samples") if name == "Train" else (judged or [None])[-1]
    size = _arguments(run.value("DataLoader", name, "sampler")).get("batch_size")
    batches = f", batches of {size}" if size and name == "Train" else ""
    return f" ({images} images{batches})" if images else ""


def _arguments(part: Any) -> Dict[str, Any]:
    """Return the arguments of a part in either of its spellings."""
    if isinstance(part, dict) and "name" not in part and len(part) == 1:
        part = next(iter(part.values()))
    return part if isinstance(part, dict) else {}


# --- how far it came, and how good it is ----------------------------------------------------------


def _state(run: RunSummary) -> str:
    if run.busy:
        return f"training now, by {run.busy}{_reached(run)}"
    if run.state is None and run.is_untrained:
        return "finished: a linear head on published weights, not trained further"
    if run.is_finished and run.state:
        epoch, epochs = run.state.epoch, run.epochs
        if epoch < epochs:
            return f"finished early, after {epoch} of {epochs} epochs"
        return f"finished after {epoch} epochs"
    why = f"; what ended it: {run.last_error}" if run.last_error else ""
    if run.state is None:
        lost = "its checkpoints cannot be read" if run.problems else "before its first checkpoint"
        return f"not finished, {lost}{_reached(run)}{why}"
    return f"stopped {_position(run)}; can be resumed{why}"


def _position(run: RunSummary) -> str:
    assert run.state is not None
    of = f" of {run.epochs}" if run.epochs else ""
    epoch, batch = run.state.epoch, run.state.batch
    return f"in epoch {epoch + 1}{of}, batch {batch}" if batch else f"after epoch {epoch}{of}"


def _reached(run: RunSummary) -> str:
    if not run.records:
        return ""
    last = run.records[-1]
    return f"; it came to epoch {last['epoch']:g}, step {last['step']:g}"


def _best(run: RunSummary) -> List[Line]:
    """Return the metrics of the best model, the one that decides first."""
    found = [r for r in _evaluations(run) if r.get("best")]
    metrics = found[-1]["metrics"] if found else run.best.get("metrics")
    epoch = found[-1]["epoch"] if found else run.best.get("epoch", 0)
    if not metrics:
        return []
    main = main_metric(run, metrics)
    others = {name: value for name, value in metrics.items() if name != main}
    told = f"{main} {format_metric(main, metrics[main])} in epoch {epoch:g}"
    return [("best", f"{told}  ({describe_metrics(others)})" if others else told)]


def main_metric(run: RunSummary, metrics: Mapping[str, Any]) -> str:
    """Return the name of the metric that decides which model is the best; there must be one."""
    wanted = run.value("Global", "best_metric")
    first = next((name for name in metrics if name != "loss"), "loss")
    return wanted if isinstance(wanted, str) and wanted in metrics else first


def _evaluations(run: RunSummary) -> List[Record]:
    return [record for record in run.records if record["event"] == "eval" and record["metrics"]]


def _curves(run: RunSummary) -> List[Line]:
    """Return a row of bars for the training loss, and one for the metric that decides."""
    losses = [r["metrics"]["loss"] for r in run.records if _has_loss(r)]
    found = [("training loss", _line("loss", losses))] if len(losses) > 1 else []
    evaluations = _evaluations(run)
    if len(evaluations) > 1:
        name = main_metric(run, evaluations[0]["metrics"])
        values = [r["metrics"][name] for r in evaluations if name in r["metrics"]]
        found.append((f"eval {name}", _line(name, values)))
    return found


def _has_loss(record: Record) -> bool:
    return record["event"] == "train" and "loss" in record["metrics"]


def _line(name: str, values: List[float]) -> str:
    ends = (format_metric(name, values[0]), format_metric(name, values[-1]))
    return f"{ends[0]} {sparkline(values)} {ends[1]}"


def _last_epochs(run: RunSummary) -> str:
    epochs = sorted({record["epoch"] for record in run.records if record["event"] != "train"})
    rows = [_row(run, epoch) for epoch in epochs[-_LAST:]]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not rows:
        return ""
    return table([names, *([row.get(name, "") for name in names] for row in rows)], left=[])


def _row(run: RunSummary, epoch: float) -> Dict[str, str]:
    """Return the cells of an epoch by the names of their columns."""
    cells, rate, mark = {"epoch": f"{epoch:g}"}, "", ""
    for record in run.records:
        if record["epoch"] != epoch:
            continue
        if record["event"] == "train":
            rate = f"{record.get('lr', 0.0):.2g}"
            continue
        event = "train" if record["event"] == "epoch" else "eval"
        for name, value in list(record["metrics"].items())[:2]:
            cells[f"{event} {name}"] = format_metric(name, value)
        mark = "best so far" if record.get("best") else mark
    return {**cells, "lr": rate, "": mark}


# --- what there is, and what to do next -----------------------------------------------------------


def _files(run: RunSummary) -> List[Line]:
    folder = run.folder
    files = [folder.config, folder.log, folder.records, folder.curves]
    found = [path.name for path in files if path.is_file()]
    if folder.best_model.is_file():
        size = megabytes(folder.best_model.stat().st_size)
        found.insert(0, f"{folder.best_model.name} ({size})")
    if run.checkpoint:
        found.append(f"{folder.checkpoints.name}/ (the newest: {run.checkpoint.name})")
    if folder.inference.is_dir():
        found.append(f"{folder.inference.name}/ (the exported network)")
    lines = [("files", ", ".join(found))] if found else []
    if _is_newer(RunFolder(folder.final).best_model, folder.best_model):
        told = f"that of {folder.final}: it has learnt from the held-back images as well"
        lines.append(("model to use", told))
    return lines


def _is_newer(one: Path, other: Path) -> bool:
    """Whether a file is there, and not older than the other one: what came of that."""
    return one.is_file() and other.is_file() and one.stat().st_mtime >= other.stat().st_mtime


def _next_steps(run: RunSummary) -> List[Line]:
    """Return the commands that make sense now."""
    steps: List[Line] = []
    if run.busy:
        return steps
    if not run.is_finished:
        what, way = ("to go on", "--resume auto") if run.state else ("again", "--overwrite")
        steps.append((what, _command("train", run, way)))
    if run.best or run.state:
        if run.value("DataLoader", "Eval"):
            steps.append(("to evaluate", _command("eval", run)))
        if run.folder.inference.is_dir():
            bundle = shlex.quote(str(run.folder.inference))
            steps.append(("to predict", f"ppcls predict --model_dir {bundle} PHOTO.jpg"))
        else:
            steps.append(("to export", _command("export", run)))
            steps.append(("to predict", _command("infer", run, "-o Infer.infer_imgs=PHOTO.jpg")))
    return steps


def _command(verb: str, run: RunSummary, rest: Optional[str] = None) -> str:
    """Return a command line for the run where it lies now; it may have been moved."""
    folder = run.folder
    noted = run.value("Global", "output_dir")
    moved = not isinstance(noted, str) or Path(noted).resolve() != folder.root.resolve()
    words = ["ppcls", verb, "-c", shlex.quote(str(folder.config)), *([rest] if rest else [])]
    if moved:
        words.append(f"-o {shlex.quote(f'Global.output_dir={folder.root}')}")
    return " ".join(words)
