"""Checkpoints: everything that a run needs to go on as if it had never stopped, in one safetensors
file.

Tensors are stored under `model/`, `optimizer/` and `ema/`; all else is one JSON text in the file's
metadata. Random numbers are functions of (seed, step) and (seed, epoch, sample), so the seed and
the position restore them. A file is written beside its name and renamed, so no moment exists at
which the newest checkpoint is half written.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np
from pydantic import ValidationError

from ppcls.checking import Section
from ppcls.errors import CheckpointError
from ppcls.weights.metadata import (
    Count,
    Indices,
    Operators,
    Scaling,
    Sums,
    Value,
    reason,
)
from ppcls.weights.weight_file import NewerFormatError, read, refuse_not_finite, write

_log = logging.getLogger("ppcls")

Arrays = Dict[str, np.ndarray]


class TrainState(Section):
    """The position of a run and what it has learnt about itself.

    `epoch` counts from 0 and is the one in progress; `batch` is how many of its batches are done;
    `step` is how many updates the optimiser has made.
    """

    epoch: Count = 0
    batch: Count = 0
    step: Count = 0
    best_value: Optional[Value] = None
    best_epoch: Count = 0
    reference: Optional[Value] = None
    evaluations_without_gain: Count = 0
    finished: bool = False
    bad_samples: Indices = []
    running: Sums = {}
    loss_scaling: Scaling = {}
    schedule: Sums = {}
    operators: Operators = {}


@dataclass
class Checkpoint:
    """One checkpoint in memory: `state`, the arrays of each group, and metadata of the run."""

    state: TrainState
    metadata: Dict[str, Any]
    model: Arrays
    optimizer: Arrays = field(default_factory=dict)
    ema: Arrays = field(default_factory=dict)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint as a whole or not at all.

    Raises:
        CheckpointError: it cannot be written (a full disk), or the weights are not finite; a file
            that was there before is untouched.
    """
    groups = {"model": checkpoint.model, "optimizer": checkpoint.optimizer, "ema": checkpoint.ema}
    for part in groups.values():
        refuse_not_finite(part, path)
    arrays = {
        f"{group}/{name}": array for group, part in groups.items() for name, array in part.items()
    }
    metadata = {"state": dict(checkpoint.state), **checkpoint.metadata}
    _write(path, arrays, "checkpoint", metadata)


def save_best_model(path: Path, arrays: Arrays, metadata: Mapping[str, Any]) -> None:
    """Write the weights of a run's best model, with what is known of them, as a whole or not at
    all.

    Raises:
        CheckpointError: it cannot be written, or the weights are not finite.
    """
    refuse_not_finite(arrays, path)
    _write(path, arrays, "weights", metadata)


def _write(path: Path, arrays: Arrays, kind: str, metadata: Mapping[str, Any]) -> None:
    """Write a file of a run, and say how to go on where that is not possible."""
    try:
        write(path, arrays, kind, metadata)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}. What was saved before is intact; make room, then continue with --resume auto"
        ) from None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: the file is missing, truncated, or not a checkpoint of this toolkit.
    """
    file = read(path)
    if not file.is_checkpoint:
        raise CheckpointError(
            f"{path} holds weights only, no training state to resume from. To start from these "
            f"weights: -o Global.pretrained_model={path}"
        )
    noted = file.metadata
    own = ("state", "format", "kind")
    metadata = {key: value for key, value in noted.items() if key not in own}
    state = state_of(path, noted)
    groups = (file.group(name) for name in ("model", "optimizer", "ema"))
    return Checkpoint(state, metadata, *groups)


def state_of(path: Path, metadata: Mapping[str, Any]) -> TrainState:
    """Return where the run stood, as the file `path` notes it.

    Raises:
        CheckpointError: it does not: the file is damaged, or no checkpoint.
    """
    noted = metadata.get("state")
    noted = noted if isinstance(noted, Mapping) else {}
    missing = [key for key in ("epoch", "batch", "step") if key not in noted]
    if missing:
        raise CheckpointError(
            f"{path}: the position of the run is not in it: state.{missing[0]} is missing"
        )
    try:
        return TrainState.model_validate(noted)
    except ValidationError as error:
        raise CheckpointError(
            f"{path}: the position of the run is not in it: state.{reason(error)}"
        ) from None


class CheckpointFolder:
    """The checkpoints of one run: the newest `keep` are kept."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def paths(self) -> List[Path]:
        """Return the checkpoint files, oldest first."""
        return sorted(self.folder.glob("step_[0-9]*.safetensors"), key=_step)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint under the name of its step and delete those that are too old.

        Raises:
            CheckpointError: it cannot be written; nothing is deleted then.
        """
        path = self.folder / f"step_{checkpoint.state.step:08d}.safetensors"
        save_checkpoint(path, checkpoint)
        older = [known for known in self.paths() if _step(known) < checkpoint.state.step]
        for known in older[: len(older) - self.keep + 1]:
            known.unlink(missing_ok=True)

    def refuse_newer_than(self, step: int) -> None:
        """Make sure that going on from `step` will not mix two runs in one folder.

        Raises:
            CheckpointError: the folder holds checkpoints of later steps.
        """
        newer = [path for path in self.paths() if _step(path) > step]
        if newer:
            raise CheckpointError(
                f"{self.folder} holds checkpoints of later steps ({newer[-1].name}). To go on from "
                "the newest: --resume auto; to branch off at this one: "
                "-o Global.output_dir=ANOTHER_FOLDER"
            )

    def newest(self) -> Optional[Tuple[Path, Checkpoint]]:
        """Return the newest readable checkpoint, or None where there is no checkpoint at all.

        Unreadable ones are named in the log and set aside: NAME.unreadable.

        Raises:
            CheckpointError: there are checkpoints, but none can be read.
        """
        paths, damaged = self.paths(), []
        for path in reversed(paths):
            try:
                found = load_checkpoint(path)
            except NewerFormatError:
                raise
            except CheckpointError as error:
                _log.warning("passed over a checkpoint: %s", error)
                damaged.append(path)
            else:
                for bad in damaged:
                    bad.rename(f"{bad}.unreadable")
                return path, found
        if damaged:
            raise CheckpointError(
                f"none of the {len(damaged)} checkpoints in {self.folder} can be read. To start "
                "again: --overwrite; to keep them: -o Global.output_dir=ANOTHER_FOLDER"
            )
        return None


LATEST = "latest"
"""What PaddleClas calls the newest checkpoint of a run's folder."""


def found_checkpoint(path: Path) -> Tuple[Path, Checkpoint]:
    """Read the checkpoint that a path means: a file, or FOLDER/latest for the newest of a run.

    Raises:
        CheckpointError: there is none, or it cannot be read.
    """
    if path.name != LATEST or path.exists():
        return path, load_checkpoint(path)
    run = path.parent
    for folder in (run / "checkpoints", run):
        newest = CheckpointFolder(folder, 1).newest()
        if newest:
            return newest
    raise CheckpointError(
        f"{path}: there is no checkpoint in {run / 'checkpoints'} or {run}, of which '{LATEST}' "
        "means the newest. A run's folder is its Global.output_dir; --resume auto goes on with "
        "it, or starts from the beginning"
    )


def _step(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])
