"""What a run and the checkpoint that it goes on from must have in common, and what may differ."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any, Dict, List, Mapping

from ppcls.config.schema import USUAL_LOGGERS
from ppcls.engine.checkpoint import TrainState
from ppcls.engine.run_folder import RunFolder
from ppcls.errors import CheckpointError
from ppcls.files import replacing
from ppcls.text import shown
from ppcls.weights import read
from ppcls.weights.metadata import noted_config

_log = logging.getLogger("ppcls")

_SAME = {
    "arch": "its network is",
    "class_names": "its classes are",
    "seed": "its seed (Global.seed) is",
    "samples": "its number of training images is",
    "images": "the checksum of its training images' names and labels is",
    "batches": "its number of batches per epoch is",
    "update_freq": "its number of batches per update (Global.update_freq) is",
}
"""Metadata that must be equal, and how to describe them."""

_FREE_TO_CHANGE = re.compile(
    r"Global\.(output_dir|checkpoints|print_batch_step|save_\w+|keep_checkpoints|model_name"
    r"|use_visualdl|max_bad_samples|max_hours|device)"
    r"|(Loggers|Infer|TTA)(\..*)?|DataLoader\.\w+\.loader\..*"
)
"""Settings that do not change what is learnt."""

_START = " -o Global.pretrained_model={} to start from its weights"
_FROM_WEIGHTS = {
    "class_names": f"{_START}, with -o Global.partial=True if the number of classes differs",
    **dict.fromkeys(("seed", "samples", "batches"), _START),
}
"""How a new run can still use the checkpoint."""


def check_same_run(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare the metadata of the checkpoint `path` with those of the run that is to go on.

    Raises:
        CheckpointError: another network, other classes or another data set.
    """
    for key, what in _SAME.items():
        if key in then and then[key] != now[key]:
            raise CheckpointError(
                f"{path} cannot be resumed: {what} {shown(then[key], 60)}, but the configuration "
                f"gives {shown(now[key], 60)}. Restore the setting, or start a new run: "
                f"-o Global.output_dir=ANOTHER_FOLDER{_FROM_WEIGHTS.get(key, '').format(path)}"
            )


def check_position(path: Path, state: TrainState, now: Mapping[str, Any]) -> None:
    """Compare the position in the checkpoint `path` with the length of the run's epochs.

    Args:
        path: for messages.
        state: the position.
        now: the metadata of the run: "batches" of an epoch, "update_freq" and "samples".

    Raises:
        CheckpointError: no run comes to such a position.
    """
    batches, frequency, samples = now["batches"], now["update_freq"], now["samples"]
    steps = state.epoch * _updates(batches, frequency) + _updates(state.batch, frequency)
    beyond = next((index for index in state.bad_samples if index >= samples), None)
    wrong = ""
    if state.batch > batches:
        wrong = f"batch {state.batch} of {batches} (state.batch)"
    elif state.step != steps:
        wrong = (
            f"step {state.step} (state.step), where epoch {state.epoch + 1}, batch {state.batch} "
            f"makes it {steps}"
        )
    elif state.best_epoch > state.epoch + 1:
        wrong = f"the best epoch was {state.best_epoch} (state.best_epoch), in {state.epoch + 1}"
    elif beyond is not None:
        wrong = f"an unreadable image {beyond} of {samples}, counted from 0 (state.bad_samples)"
    if wrong:
        raise CheckpointError(
            f"{path} cannot be resumed, as it is damaged: it says {wrong}. Resume from another "
            f"checkpoint, or start a new run: -o Global.output_dir=ANOTHER_FOLDER"
            f"{_START.format(path)}"
        )


def _updates(batches: int, frequency: int) -> int:
    """Return how many updates so many batches of an epoch make; the last may be of fewer."""
    return -(-batches // frequency)


def warn_of_changes(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Name the settings that are not what they were when the checkpoint was written.

    Args:
        path: the checkpoint, for messages.
        then: its metadata.
        now: those of the run.

    Raises:
        CheckpointError: the configuration noted in the checkpoint is damaged.
    """
    if "config" not in then:
        return
    noted, current = noted_config(then, str(path)), noted_config(now, "this run")
    for name in _loggers(noted):
        if name not in _loggers(current):
            _log.warning("resumed without the logger %s, which the run had before", name)
    before, after = _flat(noted), _flat(current)
    for key in sorted({**before, **after}):
        old, new = before.get(key, "not set"), after.get(key, "not set")
        if old != new and not _FREE_TO_CHANGE.fullmatch(key):
            _log.warning("resumed with another %s: it was %s and is %s now", key, old, new)


def bring_best_model(state: TrainState, checkpoint: Path, folder: RunFolder) -> None:
    """Take the best model along when a run branches off into another folder.

    Where the old folder's best model is of a later epoch than the checkpoint, `state` is made to
    look for a best model of its own, and one that another run left does not stand for it.
    """
    old, new = RunFolder(checkpoint.parent.parent).best_model, folder.best_model
    is_branch = old.parent.resolve() != new.parent.resolve()
    if state.best_value is None or (new.exists() and not is_branch):
        return
    if old.exists() and read(old).metadata.get("epoch") == state.best_epoch:
        with replacing(new) as draft:
            shutil.copyfile(old, draft)
    else:
        _log.info("the best model so far is not in %s: looking for one again", old.parent)
        state.best_value, state.best_epoch = None, 0
        new.unlink(missing_ok=True)


def _loggers(config: Mapping[str, Any]) -> List[str]:
    """Return the names of a configuration's loggers."""
    listed = config.get("Loggers")
    parts = listed if isinstance(listed, list) else USUAL_LOGGERS
    return [next(iter(part), "") if isinstance(part, dict) else str(part) for part in parts]


def _flat(data: Any, prefix: str = "") -> Dict[str, Any]:
    """Return nested mappings and lists as {dotted path: value}."""
    if not isinstance(data, (dict, list)) or not data:
        return {prefix: data}
    items = data.items() if isinstance(data, dict) else enumerate(data)
    children = (_flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in items)
    return {path: value for child in children for path, value in child.items()}
