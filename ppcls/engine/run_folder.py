"""The output folder of a run: one place that knows which file lies where."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from ppcls.errors import TrainingError, UsageError
from ppcls.files import Busy, locked, remove, remove_leftovers

_OTHER = "-o Global.output_dir=ANOTHER_FOLDER"


class RunFolder:
    """Paths inside `Global.output_dir`.

    Attributes:
        root: the folder itself.
        lock: what a process that trains in it holds.
        config: the resolved configuration that the run uses.
        log: what the run said, as plain lines.
        records: all metrics, one JSON object a line.
        curves: the picture of loss, learning rate and accuracy.
        checkpoints: full states to resume from.
        best_model: the weights with the best metric so far.
        visualdl, tensorboard, wandb: metrics for these.
        inference: the exported bundle, unless `Global.save_inference_dir` says otherwise.
        final: the folder of the run that goes on with all images, those held back as well.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = root / ".lock"
        self.config = root / "config.yaml"
        self.log = root / "train.log"
        self.records = root / "train_log.jsonl"
        self.curves = root / "curves.png"
        self.checkpoints = root / "checkpoints"
        self.best_model = root / "best_model.safetensors"
        self.visualdl = root / "visualdl"
        self.tensorboard = root / "tensorboard"
        self.wandb = root / "wandb"
        self.inference = root / "inference"
        self.final = root / "final"
        self._claimed: Optional[Tuple[int, int]] = None

    def contents(self) -> List[Path]:
        """Return what an earlier run left here."""
        return [path for path in self._written() if _holds_something(path)]

    def all_paths(self) -> List[Path]:
        """Return what a run may write here, whether it is there or not."""
        return [*self._written(), self.lock, self.inference, self.final]

    def _written(self) -> List[Path]:
        paths = [self.checkpoints, self.best_model, self.records, self.log, self.curves]
        return [*paths, self.config, self.visualdl, self.tensorboard, self.wandb]

    @contextlib.contextmanager
    def claim(self, resume: bool, overwrite: bool) -> Iterator[None]:
        """Make the folder ready for a run, and keep others out of it during the block.

        Raises:
            UsageError: it holds a run already and neither `resume` nor `overwrite` was asked for;
                another process trains in it; or the folder cannot be made.
        """
        with contextlib.ExitStack() as held:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(self.lock))
            except Busy as owner:
                raise UsageError(
                    f"the output folder {self.root} is in use by {owner}; wait for that run, stop "
                    "it, or choose another folder: -o Global.output_dir=ANOTHER_FOLDER"
                ) from None
            except OSError as error:
                raise UsageError(_cannot_use(self.root, error)) from None
            self._make_ready(resume, overwrite)
            yield

    def check_still_there(self) -> None:
        """Make sure that the folder is the one that was claimed.

        Raises:
            TrainingError: it was deleted or replaced; what it held is gone.
        """
        if self._claimed and _identity(self.root) != self._claimed:
            raise TrainingError(
                f"the output folder {self.root} was deleted or replaced while the run wrote to it: "
                "its log and earlier checkpoints are gone. The state of the run is saved in a new "
                "one; continue with --resume auto"
            )

    def refuse_run(self, resume: bool, overwrite: bool, other: str = _OTHER) -> List[Path]:
        """Return what an earlier run left here, unless it is in the way.

        Args:
            resume: whether to go on with it.
            overwrite: whether to delete it.
            other: how to name another folder.

        Raises:
            UsageError: neither is wanted.
        """
        found = self.contents()
        if found and not resume and not overwrite:
            raise UsageError(
                f"the output folder {self.root} already holds a run ({found[0].name}). To continue "
                f"it: --resume auto; to delete it and start again: --overwrite; to keep it: {other}"
            )
        return found

    def _make_ready(self, resume: bool, overwrite: bool) -> None:
        found = self.refuse_run(resume, overwrite)
        try:
            if overwrite:
                remove(*found)
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(_cannot_use(self.root, error)) from None
        remove_leftovers(self.checkpoints)
        remove_leftovers(self.root)
        self._claimed = _identity(self.root)


def _cannot_use(root: Path, error: OSError) -> str:
    return f"cannot use the output folder {root}: {error.strerror}"


def _identity(folder: Path) -> Optional[Tuple[int, int]]:
    """Return what tells a folder from another one of the same name; None where there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _holds_something(path: Path) -> bool:
    """Whether a file or folder is there and not empty; what failed at once was no run."""
    if path.is_dir():
        return any(path.iterdir())
    return path.is_file() and path.stat().st_size > 0
