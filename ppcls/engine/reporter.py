"""What a run tells its loggers: a record each few updates, each epoch, and each evaluation."""

from __future__ import annotations

from typing import Any

from ppcls.engine.checkpoint import TrainState
from ppcls.engine.evaluator import Evaluation
from ppcls.engine.loggers import Loggers, Record
from ppcls.engine.meter import Meter
from ppcls.optimizer.schedule import Schedule


class Reporter:
    """Makes records of the metrics in a meter, and hands them to the loggers.

    Attributes:
        loggers: who gets the records.
    """

    def __init__(self, meter: Meter, schedule: Schedule, epochs: int, batches: int) -> None:
        """Keep where the numbers come from; a run has `epochs` epochs of `batches` batches."""
        self.meter, self.schedule, self.epochs, self.batches = meter, schedule, epochs, batches
        self.loggers = Loggers([])

    def step(self, state: TrainState) -> None:
        """Report the batches since the last report, unless none of their images could be read."""
        shown = self.meter.read_window((self.epochs - state.epoch) * self.batches - state.batch)
        if shown:
            lr = self.schedule.at(state.step - 1)
            self._write("train", state, lr=lr, batch=state.batch, **shown)

    def epoch(self, state: TrainState) -> None:
        """Report the whole epoch, unless none of its images could be read."""
        metrics = self.meter.epoch_metrics()
        if metrics:
            self._write("epoch", state, metrics=metrics)

    def evaluation(self, state: TrainState, found: Evaluation, best: bool) -> None:
        """Report an evaluation after the epoch that `state` stands in."""
        self._write("eval", state, metrics=found.metrics, images=found.images, best=best)

    def _write(self, event: str, state: TrainState, **values: Any) -> None:
        position = state.epoch + state.batch / self.batches
        record = {"event": event, "epoch": state.epoch + 1, "step": state.step}
        self.loggers.write({**record, "position": position, **values})


def is_behind(record: Record, state: TrainState) -> bool:
    """Whether a run that stands at `state` will not make this record again."""
    if record["step"] == state.step:
        return state.batch == 0 or record["event"] == "train"
    return bool(record["step"] < state.step)
