"""What the folder of a run says of it, read without Paddle and without the weights.

Whatever is missing or damaged is named in `problems` and left out: the rest still tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar

from ppcls.engine.checkpoint import CheckpointFolder, TrainState, state_of
from ppcls.engine.loggers import Record
from ppcls.engine.loggers.jsonl import read_records
from ppcls.engine.run_folder import RunFolder
from ppcls.errors import PpclsError, UsageError
from ppcls.files import Busy, check_not_busy, read_regular
from ppcls.weights.weight_file import read_metadata
from ppcls.yaml_text import read_value

T = TypeVar("T")

_LARGEST_LOG = 1 << 28
_DEEPEST = 6
"""How many folders down runs are looked for."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ (.*)")
_BEGINS = ("training ", "resumed from ")
"""How the log says that a run begins, or goes on after a break."""


@dataclass
class RunSummary:
    """What is known of a run.

    Attributes:
        folder: where everything lies.
        config: its configuration as plain data.
        records: what `train_log.jsonl` holds.
        checkpoint: the newest checkpoint that can be read.
        state: where the run stands there.
        metadata: what the newest checkpoint, or else the best model, notes of network and data.
        best: what the best model notes.
        busy: which process trains in it now; empty if none does.
        seconds: for how long it was trained, breaks left out.
        last_error: what ended it, if that was an error.
        problems: what could not be read, and why.
    """

    folder: RunFolder
    config: Dict[str, Any] = field(default_factory=dict)
    records: List[Record] = field(default_factory=list)
    checkpoint: Optional[Path] = None
    state: Optional[TrainState] = None
    metadata: Dict[str, Any] = field(default_factory=dict)
    best: Dict[str, Any] = field(default_factory=dict)
    busy: str = ""
    seconds: float = 0.0
    last_error: str = ""
    problems: List[str] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """How many epochs the run is to have; 0 if that is not known."""
        found = self.value("Global", "epochs")
        return found if isinstance(found, int) and found > 0 else 0

    @property
    def is_finished(self) -> bool:
        """Whether the last epoch, or an early stop, was reached."""
        state = self.state
        if state is None:
            return self.is_untrained
        return state.finished or 0 < self.epochs <= state.epoch

    @property
    def is_untrained(self) -> bool:
        """Whether its model is a linear head on published weights, for which no epoch was asked."""
        return self.value("Global", "epochs") == 0 and bool(self.best)

    def value(self, *keys: str) -> Any:
        """Return what the configuration says under a path of keys; None where it says nothing."""
        found: Any = self.config
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found


def read_run(root: Path) -> RunSummary:
    """Read what a run's folder says.

    Raises:
        UsageError: the folder holds no run.
    """
    folder = RunFolder(root)
    if not is_run(root):
        raise UsageError(
            f"{root} holds no run: none of {folder.config.name}, {folder.records.name} and "
            f"{folder.checkpoints.name}/ is in it; `ppcls show` lists the runs below output/"
        )
    run = RunSummary(folder)
    run.config = _tried(run, folder.config, _config, {})
    run.records = _tried(run, folder.records, _records, [])
    _read_weights(run)
    _read_log(run)
    try:
        check_not_busy(folder.lock)
    except Busy as owner:
        run.busy = str(owner)
    return run


def is_run(root: Path) -> bool:
    """Whether a folder holds a run."""
    folder = RunFolder(root)
    training = (folder.records, folder.checkpoints, folder.log)
    return any(path.exists() for path in training) or (
        folder.config.exists() and not (root / "inference.yml").exists()
    )


def find_runs(root: Path) -> List[Path]:
    """Return the folders of runs at and below a folder, in the order of their names."""
    return list(_runs(root, _DEEPEST))


def _runs(root: Path, depth: int) -> Iterator[Path]:
    if is_run(root):
        yield root
    inside = sorted(root.iterdir()) if depth and root.is_dir() else []
    for path in inside:
        if path.is_dir() and not path.is_symlink():
            yield from _runs(path, depth - 1)


def _tried(run: RunSummary, path: Path, read: Callable[[Path], T], otherwise: T) -> T:
    try:
        return read(path)
    except PpclsError as error:
        run.problems.append(" ".join(str(error).split()))
    except OSError as error:
        run.problems.append(f"cannot read {path}: {error.strerror or error}")
    return otherwise


def _config(path: Path) -> Dict[str, Any]:
    found = read_value(path)
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no configuration: it has no sections")
    return found


def _records(path: Path) -> List[Record]:
    return [record for record in read_records(path, _LARGEST_LOG) if _is_sound(record)]


def _is_sound(record: Record) -> bool:
    metrics = record.get("metrics")
    return (
        record.get("event") in ("train", "epoch", "eval")
        and all(_is_number(record.get(key)) for key in ("epoch", "step"))
        and isinstance(metrics, dict)
        and all(map(_is_number, metrics.values()))
        and _is_number(record.get("lr", 0.0))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not abs(value) >= 1e300  # NaN is one


def _read_weights(run: RunSummary) -> None:
    folder = run.folder
    if folder.best_model.exists():
        run.best = _tried(run, folder.best_model, read_metadata, {})
    run.metadata = run.best
    for path in reversed(CheckpointFolder(folder.checkpoints, keep=1).paths()):
        found = _tried(run, path, _position, None)
        if found is not None:
            run.checkpoint, (run.state, run.metadata) = path, found
            return


def _position(path: Path) -> Optional[Tuple[TrainState, Dict[str, Any]]]:
    metadata = read_metadata(path)
    return state_of(path, metadata), metadata


def _read_log(run: RunSummary) -> None:
    """Find how long the run took, and which error ended it."""
    path = run.folder.log
    if not path.exists():
        return
    content = _tried(run, path, lambda path: read_regular(path, _LARGEST_LOG), b"")
    began = last = None
    for found in map(_TIME.match, content.decode("utf-8", "replace").splitlines()):
        if found is None:
            continue
        now, words = _moment(found[1]), found[2]
        if began is None or words.startswith(_BEGINS):
            run.seconds += _between(began, last)
            began = now
        last, run.last_error = now, words[7:] if words.startswith("error: ") else ""
    run.seconds += _between(began, last)


def _moment(text: str) -> Optional[datetime]:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _between(began: Optional[datetime], ended: Optional[datetime]) -> float:
    return max(0.0, (ended - began).total_seconds()) if began and ended else 0.0
