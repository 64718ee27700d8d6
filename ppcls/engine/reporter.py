"""What a run tells its loggers: a record each few updates, each epoch, and each evaluation."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, TypeVar

from ppcls.engine.checkpoint import TrainState
from ppcls.engine.evaluator import Evaluation
from ppcls.engine.loggers import Loggers, Record
from ppcls.engine.meter import Meter
from ppcls.optimizer.schedule import Schedule

T = TypeVar("T")


class Reporter:
    """Makes records of the metrics in a meter, and hands them to the loggers.

    Attributes:
        loggers: who gets the records.
    """

    def __init__(self, meter: Meter, schedule: Schedule, epochs: int, batches: int) -> None:
        """Keep where the numbers come from; a run has `epochs` epochs of `batches` batches."""
        self.meter, self.schedule, self.epochs, self.batches = meter, schedule, epochs, batches
        self.loggers = Loggers([])

    def watch(self, state: TrainState, batches: Iterable[T]) -> Iterator[T]:
        """Yield what is left of the epoch's batches, and tell the loggers how far `state` is."""
        self._advance(state)
        for batch in batches:
            yield batch
            self._advance(state)

    def step(self, state: TrainState) -> None:
        """Report the batches since the last report, unless none of their images could be read."""
        shown = self.meter.read_window(self._batches_left(state))
        if shown:
            self.loggers.write(self._of_train(state, shown))

    def epoch(self, state: TrainState) -> None:
        """Report the whole epoch, unless none of its images could be read."""
        metrics = self.meter.epoch_metrics()
        if metrics:
            self._write("epoch", state, metrics=metrics)

    def evaluation(self, state: TrainState, epochs: int, found: Evaluation, best: bool) -> None:
        """Report an evaluation after so many epochs; 0 is before the first one."""
        about = {"metrics": found.metrics, "images": found.images, "best": best}
        self._write("eval", state, **{"epoch": epochs, **about})

    def _advance(self, state: TrainState) -> None:
        def look() -> Record:
            shown = self.meter.glance(self._batches_left(state))
            return self._of_train(state, shown) if shown else {}

        self.loggers.advance(state.epoch + 1, state.batch, look)

    def _batches_left(self, state: TrainState) -> int:
        return (self.epochs - state.epoch) * self.batches - state.batch

    def _of_train(self, state: TrainState, shown: Record) -> Record:
        lr = self.schedule.at(max(0, state.step - 1))
        return self._record("train", state, lr=lr, batch=state.batch, **shown)

    def _write(self, event: str, state: TrainState, **values: Any) -> None:
        self.loggers.write(self._record(event, state, **values))

    def _record(self, event: str, state: TrainState, **values: Any) -> Record:
        position = state.epoch + state.batch / self.batches
        record = {"event": event, "epoch": state.epoch + 1, "step": state.step}
        return {**record, "position": position, **values}


def is_behind(record: Record, state: TrainState) -> bool:
    """Whether a run that stands at `state` will not make this record again."""
    if record["step"] == state.step:
        return state.batch == 0 or record["event"] == "train"
    return bool(record["step"] < state.step)
