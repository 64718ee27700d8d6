"""Checkpoints: everything that a run needs to go on as if it had never stopped, in one safetensors
file.

Tensors are stored under `model/`, `optimizer/` and `ema/`; all else is one JSON text in the file's
metadata. Random numbers are functions of (seed, step) and (seed, epoch, sample), so the seed and
the position restore them. A file is written beside its name and renamed, so no moment exists at
which the newest checkpoint is half written.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from ppcls.errors import CheckpointError
from ppcls.weights.files import read_weights, write_weights

FORMAT = 1
_KEY = "ppcls"
_log = logging.getLogger("ppcls")

Arrays = Dict[str, np.ndarray]


class NewerFormatError(CheckpointError):
    """A file was written by a later version of this toolkit: readable, but not by this one."""


@dataclass
class TrainState:
    """The position of a run and what it has learnt about itself.

    `epoch` counts from 0 and is the one in progress; `batch` is how many of its batches are done;
    `step` is how many updates the optimiser has made.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best_value: Optional[float] = None
    best_epoch: int = 0
    reference: Optional[float] = None
    evaluations_without_gain: int = 0
    finished: bool = False
    bad_samples: List[int] = field(default_factory=list)
    running: Dict[str, float] = field(default_factory=dict)
    loss_scaling: Dict[str, Any] = field(default_factory=dict)


@dataclass
class Checkpoint:
    """One checkpoint in memory: `state`, the arrays of each group, and facts about the run
    (`about`).
    """

    state: TrainState
    about: Dict[str, Any]
    model: Arrays
    optimizer: Arrays = field(default_factory=dict)
    ema: Arrays = field(default_factory=dict)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint as a whole or not at all.

    Raises:
        CheckpointError: it cannot be written (a full disk), or the weights are not finite; a file
            that was there before is untouched.
    """
    groups = {"model": checkpoint.model, "optimizer": checkpoint.optimizer, "ema": checkpoint.ema}
    for part in groups.values():
        _refuse_not_finite(part, path)
    arrays = {
        f"{group}/{name}": array for group, part in groups.items() for name, array in part.items()
    }
    meta = {
        "format": FORMAT,
        "kind": "checkpoint",
        "state": asdict(checkpoint.state),
        **checkpoint.about,
    }
    _write(path, arrays, _metadata(meta))


def save_weights(path: Path, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Write a network's weights under their own names, with facts about them, as a whole or not at
    all.

    Raises:
        CheckpointError: it cannot be written, or the weights are not finite.
    """
    _refuse_not_finite(arrays, path)
    _write(path, arrays, weights_metadata(about))


def weights_metadata(about: Mapping[str, Any]) -> Dict[str, str]:
    """Return the metadata of a weight file from which `read_network` reads the facts `about`."""
    return _metadata({"format": FORMAT, "kind": "weights", **about})


def _metadata(meta: Mapping[str, Any]) -> Dict[str, str]:
    return {_KEY: json.dumps(meta, ensure_ascii=False)}


def _write(path: Path, arrays: Arrays, metadata: Dict[str, str]) -> None:
    try:
        write_weights(path, arrays, metadata)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}. What was saved before is intact; make room, then continue with --resume auto"
        ) from None


def _refuse_not_finite(arrays: Arrays, path: Path) -> None:
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"{name} holds NaN or Inf, so {path.name} is not written")


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: the file is missing, truncated, or not a checkpoint of this toolkit.
    """
    arrays, meta = read_with_facts(path)
    if meta.get("kind") != "checkpoint":
        raise CheckpointError(
            f"{path} holds weights only, no training state to resume from. To start from these "
            f"weights: -o Global.pretrained_model={path}"
        )
    groups: Dict[str, Arrays] = {"model": {}, "optimizer": {}, "ema": {}}
    for name, array in arrays.items():
        group, _, inner = name.partition("/")
        groups.setdefault(group, {})[inner] = array
    about = {key: value for key, value in meta.items() if key not in ("state", "format", "kind")}
    try:
        state = TrainState(**meta["state"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: the position of the run is not in it: {error}") from None
    return Checkpoint(state, about, groups["model"], groups["optimizer"], groups["ema"])


def read_with_facts(path: Path) -> Tuple[Arrays, Dict[str, Any]]:
    """Return the arrays of a weight file or checkpoint and what this toolkit noted in it (empty for
    foreign files).

    Raises:
        CheckpointError: the file is missing, unreadable, or of a newer format than this version
            reads.
    """
    arrays, metadata = read_weights(path)
    try:
        meta = json.loads(metadata.get(_KEY, "{}"))
    except ValueError:
        meta = None
    if not isinstance(meta, dict):
        raise CheckpointError(
            f"{path}: what this toolkit notes in its files is damaged in this one"
        )
    if meta.get("format", FORMAT) > FORMAT:
        raise NewerFormatError(
            f"{path} has checkpoint format {meta['format']}; this version of ppcls reads up to "
            f"{FORMAT}: upgrade ppcls"
        )
    return arrays, meta


def read_network(path: Path) -> Tuple[Arrays, Dict[str, Any]]:
    """Return the weights to use for evaluation (a moving average where there is one) and the facts
    noted with them.

    Raises:
        CheckpointError: see `read_with_facts`.
    """
    arrays, meta = read_with_facts(path)
    if meta.get("kind") != "checkpoint":
        return arrays, meta
    group = "ema/" if any(name.startswith("ema/") for name in arrays) else "model/"
    chosen = {name[len(group) :]: array for name, array in arrays.items() if name.startswith(group)}
    return chosen, meta


class CheckpointFolder:
    """The checkpoints of one run: the newest `keep` are kept."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def paths(self) -> List[Path]:
        """Return the checkpoint files, oldest first."""
        return sorted(self.folder.glob("step_[0-9]*.safetensors"), key=_step)

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint under the name of its step and delete those that are too old.

        Raises:
            CheckpointError: it cannot be written; nothing is deleted then.
        """
        path = self.folder / f"step_{checkpoint.state.step:08d}.safetensors"
        save(path, checkpoint)
        older = [known for known in self.paths() if _step(known) < checkpoint.state.step]
        for known in older[: len(older) - self.keep + 1]:
            known.unlink(missing_ok=True)
        return path

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
                found = load(path)
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


def _step(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])
