"""The training loop."""

from __future__ import annotations

import contextlib
import logging
import math
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

from ppcls import runtime, weights
from ppcls.config import to_yaml
from ppcls.data.batch import Batch
from ppcls.engine.ahead import batches_on
from ppcls.engine.bad_samples import BadSampleCount
from ppcls.engine.chance import ChanceWatch, chance_of, keeps_statistics
from ppcls.engine.checkpoint import Checkpoint, CheckpointFolder, TrainState, save_best_model
from ppcls.engine.ema import AveragedWeights
from ppcls.engine.evaluator import Evaluation, evaluate_network
from ppcls.engine.interrupt import Interrupted, StopRequest
from ppcls.engine.job import Job
from ppcls.engine.loggers.console import format_metric
from ppcls.engine.meter import Meter
from ppcls.engine.reporter import Reporter
from ppcls.engine.resume import (
    bring_best_model,
    check_position,
    check_same_run,
    warn_of_changes,
)
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.sanity import FiniteCheck
from ppcls.engine.share import on_device
from ppcls.engine.world import World
from ppcls.errors import DataError
from ppcls.kernels.choice import choices_of
from ppcls.progress import track
from ppcls.weights.weight_file import arrays_of

_log = logging.getLogger("ppcls")


class Trainer:
    """Trains the network of a job, from the start or from a checkpoint, and keeps what is worth
    keeping.
    """

    def __init__(self, job: Job, folder: RunFolder, stop: StopRequest, world: World) -> None:
        """Get ready to train.

        Args:
            job: what to train, and how.
            folder: where checkpoints and the best model go.
            stop: whether to leave before the end.
            world: the processes that train together.
        """
        self.job, self.folder, self.stop, self.world = job, folder, stop, world
        self.settings, self.batches = job.settings, len(job.train)
        self.state = TrainState()
        self.checkpoints = CheckpointFolder(folder.checkpoints, job.settings.keep_checkpoints)
        self.bad = BadSampleCount(len(job.train.dataset), job.settings.max_bad_samples, self.world)
        self.meter = Meter(job.metrics, self.world)
        schedule = job.optimizer.schedule
        self.reporter = Reporter(self.meter, schedule, job.settings.epochs, self.batches)
        self.chance = ChanceWatch(chance_of(job.eval), keeps_statistics(job.network))
        self.finite = FiniteCheck(schedule, self.checkpoints, self.world)
        for loader in filter(None, (job.train, job.eval)):
            loader.patience.gives_up = lambda: stop.number is not None
        if job.ema and job.ema.statistics:
            job.ema.statistics.watch = self._watched

    @property
    def is_complete(self) -> bool:
        """Whether the last epoch, or an early stop, has been reached."""
        if self._judges_start:
            return False
        return self.state.finished or self.state.epoch >= self.settings.epochs

    @property
    def _judges_start(self) -> bool:
        """Whether the weights that training starts from are to be evaluated now."""
        state = self.state
        is_new = state.best_value is None and state.evaluations_without_gain == 0
        at_start = is_new and (state.epoch, state.batch, state.step) == (0, 0, 0)
        return self.settings.eval_at_start and self.job.eval is not None and at_start

    def fit(self) -> TrainState:
        """Train until the last epoch, an early stop, or a request to stop.

        Raises:
            TrainingError: the loss is not finite.
            DataError: too many images of training, or all of evaluation, cannot be read; after
                saving.
            OutageError: a data set cannot be reached any more; after saving.
            Interrupted: Ctrl-C or termination, after saving.
        """
        if self._judges_start:
            self._keep_if_best(epochs=0)
        while not self.is_complete:
            self.job.begin_epoch(self.state.epoch)
            try:
                self.train_epoch()
            except DataError:
                self._save_between_updates()
                self.stop.agree(self.world)
                self.stop.check()
                raise
            self.end_epoch()
        return self.state

    def train_epoch(self) -> None:
        """Train over what is left of the epoch in which the run stands."""
        job, state, precision, world = self.job, self.state, self.job.precision, self.world
        job.network.train()
        self.meter.begin_epoch(state.running)
        pending = 0
        for batch in self._rest_of_epoch():
            # Name the images that cannot be read; too many of them end the run
            self.bad.add(batch.bad)
            # Make random layers a function of the position, which a resumed run comes back to
            position = state.epoch * self.batches + state.batch
            runtime.seed_step(self.settings.seed, position, world.rank)
            state.batch += 1
            images = world.sum(len(batch))
            if images:
                with on_device(batch, job.network) as share:
                    # Forward: the mean loss over this process's share of the batch
                    with precision.forward():
                        outputs = job.network(share.images)
                        loss = job.loss(outputs, share.labels, share.images)["loss"]
                    # Backward: the gradients of all batches of an update add up
                    precision.backward(share.scaled(loss, images, self._batches_per_update()))
                self.meter.add(loss, outputs, share)
                pending += images
            if state.batch % self.settings.update_freq and state.batch < self.batches:
                continue
            # Update the weights, and their moving average
            self._update(pending)
            pending = 0
            # Report; here the host waits for the device, and sees whether the loss is finite
            if state.step % self.settings.print_batch_step == 0:
                self.finite.loss(self.meter, state)
                self.reporter.step(state)
            # Save where it is time to, and leave if one of the processes is asked to stop
            if self.stop.agree(world) or self.settings.saves_after_step(state.step):
                self.save()
            self.stop.check()
        self.finite.loss(self.meter, state)
        self.reporter.epoch(state)

    def _rest_of_epoch(self) -> Iterator[Batch]:
        """Return the batches to come, while their waiting times are taken and progress is shown."""
        job, state = self.job, self.state
        batches = batches_on(job.device, job.train, state.epoch, start=state.batch)
        return self.reporter.watch(self.state, self.meter.timed(batches))

    def _save_between_updates(self) -> None:
        """Save, unless gradients wait for the rest of their update."""
        if self.state.batch % self.settings.update_freq == 0:
            self.save()

    def _batches_per_update(self) -> int:
        """Return how many batches share the update that the current one belongs to."""
        frequency = self.settings.update_freq
        first = (self.state.batch - 1) // frequency * frequency
        return min(frequency, self.batches - first)

    def _update(self, images: int) -> None:
        """Apply the gradients of so many images, summed over all processes."""
        job, state = self.job, self.state
        if images:
            self.world.sum_gradients(job.network)
            job.optimizer.set_step(state.step)
            job.precision.update(job.optimizer)
            job.optimizer.clear_grad()
        state.step += 1
        if job.ema:
            job.ema.update(state.step)

    def end_epoch(self) -> None:
        """Evaluate, keep the best, decide whether to go on, and save."""
        self.finite.weights(self.job.network, self.state)
        evaluates = self.job.eval is not None
        if evaluates and self.settings.evaluates_after(self.state.epoch + 1):
            self._keep_if_best(self.state.epoch + 1)
        elif self.job.ema and self.state.epoch + 1 == self.settings.epochs:
            # Nobody has looked at the average, which may want statistics of its own.
            try:
                with self.job.ema.applied(self.settings.epochs):
                    pass
            except (Interrupted, DataError):
                self.save()
                raise
        after = {"epoch": self.state.epoch + 1, "batch": 0, "running": {}}
        self.state = self.state.model_copy(update=after)
        self.meter.begin_epoch({})
        if self.is_complete or self.state.epoch % self.settings.save_interval == 0:
            self.save()

    def _judged(self, epochs: int) -> Tuple[Evaluation, bool]:
        """Return the evaluation that counts, and whether it is that of averaged weights."""
        average, selection = self.job.ema, self.job.selection
        found = self._evaluate(average, epochs)
        if average is None or not average.keep_better:
            return found, average is not None
        own, name = self._evaluate(None, epochs), selection.metric
        values = [one.metrics.get(name, math.nan) for one in (own, found)]
        is_better = selection.is_better(*values)
        told = format_metric(name, values[0]), format_metric(name, values[1])
        better = "the weights themselves" if is_better else "the averaged weights"
        _log.info("%s of the weights themselves: %s, averaged: %s; %s count", name, *told, better)
        return (own, False) if is_better else (found, True)

    def _watched(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Show the progress of taking statistics, and leave where evaluation would."""
        assert self.job.ema and self.job.ema.statistics
        count = min(self.job.ema.statistics.batches, self.batches)
        return iter(track(self.stop.watch(batches, self.world), "taking statistics", count))

    def _evaluate(self, average: Optional[AveragedWeights], epochs: int) -> Evaluation:
        """Evaluate the averaged weights after so many epochs, or those of the network."""
        job = self.job
        assert job.eval is not None
        try:
            with average.applied(epochs) if average else contextlib.nullcontext():
                batches = self.stop.watch(batches_on(job.device, job.eval, 0), self.world)
                shown = track(batches, "evaluating", len(job.eval))
                found = evaluate_network(
                    job.network, shown, job.eval_metrics, job.eval_loss, self.world
                )
                found.check_not_empty()
        except (Interrupted, DataError):
            # Only here, outside the block above, has the network its own weights again.
            self.save()
            raise
        if found.bad:
            _log.warning("left out of the evaluation, unreadable:%s", found.describe_bad())
        return found

    def _keep_if_best(self, epochs: int) -> None:
        """Evaluate after so many epochs, if there is something to judge by."""
        if self.job.eval is None:
            return
        (found, is_average), selection = self._judged(epochs), self.job.selection
        value = found.metrics.get(selection.metric, math.nan)
        is_best = selection.judge(self.state, value, epochs)
        self.job.optimizer.schedule.observe(value, selection.higher_is_better, self.state.step)
        if is_best:
            self.world.on_main(lambda: self._save_best(found, epochs, is_average))
        self.reporter.evaluation(self.state, epochs, found, is_best)
        self.chance.judge(
            found.metrics, self.meter.epoch_metrics(), epochs, self.job.optimizer.schedule.highest
        )
        selection.stop_early(self.state)
        self.state.finished |= self.world.any(self.reporter.loggers.want_to_stop)

    def _save_best(self, found: Evaluation, epochs: int, is_average: bool) -> None:
        average = self.job.ema if is_average else None
        arrays = average.arrays() if average else arrays_of(self.job.network)
        now = {"epoch": epochs, "step": self.state.step, "metrics": found.metrics}
        save_best_model(self.folder.best_model, arrays, {**self.metadata(), **now})

    def save(self) -> None:
        """Write a checkpoint of this moment, after making sure that it is worth resuming from.

        Raises:
            CheckpointError: it cannot be written.
            TrainingError: the loss is not finite, or the output folder was deleted.
        """
        state = self.state
        self.finite.loss(self.meter, state)
        self.finite.weights(self.job.network, state)
        state.running = self.meter.state()
        state.bad_samples = self.bad.indices()
        state.loss_scaling = self.job.precision.state()
        state.schedule = self.job.optimizer.schedule.state()
        choices = choices_of(self.job.network)
        state.operators = dict(choices.used) if choices else {}
        self.world.on_main(self._write_checkpoint)

    def _write_checkpoint(self) -> None:
        self.checkpoints.save(self._checkpoint())
        self.folder.check_still_there()

    def _checkpoint(self) -> Checkpoint:
        job = self.job
        optimizer = job.optimizer.state_arrays(job.network)
        ema = job.ema.arrays() if job.ema else {}
        return Checkpoint(self.state, self.metadata(), arrays_of(job.network), optimizer, ema)

    def metadata(self) -> Dict[str, Any]:
        """Return what checkpoints and the best model say of the run that made them."""
        dataset = self.job.train.dataset
        run: Dict[str, Any] = {
            "seed": self.settings.seed,
            "samples": len(dataset),
            "images": dataset.fingerprint,
            "batches": self.batches,
            "update_freq": self.settings.update_freq,
        }
        if self.job.asked_epochs is not None:
            run["asked_epochs"], run["kept_epochs"] = self.job.asked_epochs, self.settings.epochs
        return {**self.job.network_metadata(), **run, "config": to_yaml(self.job.config)}

    def restore(self, path: Path, checkpoint: Checkpoint) -> None:
        """Go on where `checkpoint`, which was read from `path`, stands.

        Raises:
            CheckpointError: it belongs to another network, other classes or another data set, or
            stands where no run can.
        """
        job, metadata = self.job, self.metadata()
        check_same_run(path, checkpoint.metadata, metadata)
        check_position(path, checkpoint.state, metadata)
        warn_of_changes(path, checkpoint.metadata, metadata)
        weights.load(job.network, weights.WeightFile(checkpoint.model, path=path))
        job.optimizer.load_state_arrays(job.network, checkpoint.optimizer)
        job.precision.load_state(checkpoint.state.loss_scaling)
        job.optimizer.schedule.load_state(checkpoint.state.schedule)
        choices = choices_of(job.network)
        if choices:
            choices.take(checkpoint.state.operators)
        if job.ema:
            job.ema.load(checkpoint.ema or checkpoint.model)
        self.bad.restore(checkpoint.state.bad_samples)
        state = checkpoint.state
        self.world.on_main(lambda: bring_best_model(state, path, self.folder))
        self.state = self.world.gather(state)[0]
        self.finite.sound_until = self.state.step
