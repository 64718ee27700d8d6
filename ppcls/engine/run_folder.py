"""The output folder of a run: one place that knows which file lies where."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import List

from ppcls.errors import UsageError
from ppcls.files import remove_leftovers


class RunFolder:
    """Paths inside `Global.output_dir`.

    Attributes:
        root: the folder itself.
        config: the resolved configuration that the run uses.
        log: what the run said, as plain lines.
        records: all metrics, one JSON object a line.
        curves: the picture of loss, learning rate and accuracy.
        checkpoints: full states to resume from.
        best_model: the weights with the best metric so far.
        visualdl: scalars for VisualDL.
        inference: the exported bundle, unless `Global.save_inference_dir` says otherwise.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "config.yaml"
        self.log = root / "train.log"
        self.records = root / "train_log.jsonl"
        self.curves = root / "curves.png"
        self.checkpoints = root / "checkpoints"
        self.best_model = root / "best_model.safetensors"
        self.visualdl = root / "visualdl"
        self.inference = root / "inference"

    def contents(self) -> List[Path]:
        """Return what an earlier run left here."""
        paths = [self.checkpoints, self.best_model, self.records, self.log, self.curves]
        return [path for path in [*paths, self.config, self.visualdl] if _holds_something(path)]

    def claim(self, resume: bool, overwrite: bool) -> None:
        """Make the folder ready for a run.

        Raises:
            UsageError: it holds a run already and neither `resume` nor `overwrite` was asked for,
                or the folder cannot be made.
        """
        found = self.contents()
        if found and not resume and not overwrite:
            raise UsageError(
                f"the output folder {self.root} already holds a run ({found[0].name}). To continue "
                "it: --resume auto; to delete it and start again: --overwrite; to keep it: -o "
                "Global.output_dir=ANOTHER_FOLDER"
            )
        try:
            if overwrite:
                _delete(found)
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot use the output folder {self.root}: {error.strerror}"
            ) from None
        remove_leftovers(self.checkpoints)
        remove_leftovers(self.root)


def _holds_something(path: Path) -> bool:
    """Whether a file or folder is there and not empty; what failed at once was no run."""
    if path.is_dir():
        return any(path.iterdir())
    return path.is_file() and path.stat().st_size > 0


def _delete(paths: List[Path]) -> None:
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
