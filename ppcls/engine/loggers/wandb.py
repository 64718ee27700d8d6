"""Metrics for Weights & Biases, sent there or kept on this machine."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import Any, List, Literal, Optional

from ppcls.engine.loggers import Logger, Record, RunInfo, scalars
from ppcls.engine.loggers.jsonl import kept_records
from ppcls.errors import UsageError
from ppcls.files import write_text
from ppcls.registry import register
from ppcls.yaml_text import read_value

_ID = "ppcls_run_id"


@register("logger")
class WandB(Logger):
    """Writes each metric, and the learning rate, with the configuration of the run.

    Args:
        project: what the run belongs to.
        name: what it is called there; by default like the output folder.
        mode: "online" sends to wandb.ai, or to the server that `wandb login` names; "offline"
            writes to the folder `wandb` alone, for `wandb sync`. By default what the environment's
            WANDB_MODE says, else "online".

    Raises:
        UsageError: the package wandb is not installed, or nobody has logged in.
    """

    def __init__(
        self,
        project: str = "ppcls",
        name: Optional[str] = None,
        mode: Optional[Literal["online", "offline"]] = None,
    ) -> None:
        self.project, self.name = project, name
        self.mode = mode or os.environ.get("WANDB_MODE", "online")
        self._wandb = _package()
        if self.mode == "online" and not self._wandb.api.api_key:
            raise UsageError(
                "Loggers names WandB, but nobody has logged in on this machine. Run `wandb login`, "
                "or keep the metrics here: Loggers: [..., {WandB: {mode: offline}}]"
            )

    def open(self, run: RunInfo) -> None:
        """Begin a run there, or go on with the one that this folder has."""
        root, options = run.folder.root, {"console": "off", "silent": True}
        number = _run_id(run.folder.wandb / _ID)
        before = _forget_parts(run, number) if self.mode == "offline" else []
        self._run = self._wandb.init(
            project=self.project,
            name=self.name or root.name,
            id=number,
            resume="allow" if self.mode == "online" else None,
            mode=self.mode,
            dir=str(root),
            config=read_value(run.folder.config) if run.folder.config.exists() else {},
            settings=self._wandb.Settings(**options),
        )
        for record in before:
            self.write(record)

    def write(self, record: Record) -> None:
        """Send one record; of a step that is there already the server keeps what it has."""
        self._run.log(scalars(record), step=record["step"])

    def close(self) -> None:
        """Wait until all is sent."""
        self._run.finish()


def _forget_parts(run: RunInfo, number: str) -> List[Record]:
    """Return the records up to here, and delete the files of them and of those to be made
    again: each part of a run would be sent as if it were the whole.
    """
    records = kept_records(run)
    if records:
        for part in run.folder.wandb.glob(f"offline-run-*-{number}"):
            shutil.rmtree(part)
    return records


def _run_id(path: Path) -> str:
    """Return the name by which the run is found again when it goes on."""
    if not path.exists():
        write_text(path, secrets.token_hex(8))
    return path.read_text("utf-8").strip()


def _package() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise UsageError(
            f"Loggers names WandB, but the package wandb cannot be imported ({error}). Install it "
            "with `pip install 'ppcls[wandb]'`, or take WandB out of Loggers"
        ) from None
    return wandb
