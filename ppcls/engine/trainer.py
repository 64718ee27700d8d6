"""The training loop."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np
import paddle
import yaml

from ppcls import runtime
from ppcls.config import Config, to_yaml
from ppcls.data.loader import Batch
from ppcls.engine.amp import Precision
from ppcls.engine.bad_samples import BadSampleCount
from ppcls.engine.builder import Job, network_facts
from ppcls.engine.checkpoint import (
    Checkpoint,
    CheckpointFolder,
    TrainState,
    read_with_facts,
    save_weights,
)
from ppcls.engine.ema import ExponentialMovingAverage
from ppcls.engine.evaluator import Evaluation, evaluate
from ppcls.engine.interrupt import Interrupted, StopRequest
from ppcls.engine.loggers import Loggers, Record
from ppcls.engine.meter import Meter
from ppcls.engine.run_folder import RunFolder
from ppcls.errors import CheckpointError, DataError, TrainingError
from ppcls.files import replacing

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
"""What a run and the checkpoint that it goes on from must have in common, in words."""

_FREE_TO_CHANGE = re.compile(
    r"Global\.(output_dir|checkpoints|print_batch_step|save_\w+|keep_checkpoints|use_visualdl"
    r"|max_bad_samples|device)|DataLoader\.\w+\.loader\..*|Infer(\..*)?"
)
"""Settings that do not change what is learnt."""

_START = " -o Global.pretrained_model={} to start from its weights"
_FROM_WEIGHTS = {
    "class_names": f"{_START}, with -o Global.partial=True if the number of classes differs",
    **dict.fromkeys(("seed", "samples", "batches"), _START),
}
"""How a new run can still use the checkpoint."""


class Trainer:
    """Trains the network of a job, from the start or from a checkpoint, and keeps what is worth
    keeping.
    """

    def __init__(self, config: Config, job: Job, folder: RunFolder, stop: StopRequest) -> None:
        self.config, self.job, self.folder, self.stop = config, job, folder, stop
        self.settings = config.Global
        self.seed = config.Global.seed or 0
        self.state = TrainState()
        self.checkpoints = CheckpointFolder(folder.checkpoints, config.Global.keep_checkpoints)
        self.precision = Precision(config.AMP, job.device)
        self.ema = ExponentialMovingAverage(job.network, config.EMA.decay) if config.EMA else None
        self.bad = BadSampleCount(len(job.train.dataset), config.Global.max_bad_samples)
        self.meter = Meter(job.metrics)
        self.loggers = Loggers([])
        self._pending = 0
        self._sound_until = 0

    @property
    def batches(self) -> int:
        """Batches per epoch."""
        return len(self.job.train.sampler)

    @property
    def is_complete(self) -> bool:
        """Whether the last epoch, or an early stop, has been reached."""
        return self.state.finished or self.state.epoch >= self.settings.epochs

    def fit(self) -> TrainState:
        """Train until the last epoch, an early stop, or a request to stop.

        Raises:
            TrainingError: the loss is not finite.
            DataError: too many training images cannot be read.
            Interrupted: Ctrl-C or termination, after saving.
        """
        while not self.is_complete:
            self._train_epoch()
            self._end_epoch()
        return self.state

    def _train_epoch(self) -> None:
        self.job.network.train()
        self.meter.begin_epoch(self.state.running)
        batches = self.job.train.loader.epoch(self.state.epoch, start=self.state.batch)
        for batch in self.meter.timed(batches):
            self._learn(batch)
            if (
                self.state.batch % self.settings.update_freq == 0
                or self.state.batch == self.batches
            ):
                self._update()
        self._report_epoch()

    def _learn(self, batch: Batch) -> None:
        """Add one batch's gradients."""
        self._count_bad(batch)
        runtime.seed_step(self.seed, self.state.epoch * self.batches + self.state.batch)
        self.state.batch += 1
        if not len(batch.labels):
            return
        labels = paddle.to_tensor(batch.labels)
        with self.precision.forward():
            outputs = self.job.network(paddle.to_tensor(batch.images))
            loss = self.job.loss(outputs, labels)["loss"]
        self.precision.backward(loss / self._group_size())
        self.meter.add(loss, outputs, labels)
        self._pending += len(batch.labels)

    def _count_bad(self, batch: Batch) -> None:
        """Take note of the batch's bad images; if they are too many, save before the run ends.

        Raises:
            DataError: too many training images cannot be read.
        """
        try:
            self.bad.add(batch.bad)
        except DataError:
            if self.state.batch % self.settings.update_freq == 0:
                self.save()
            raise

    def _group_size(self) -> int:
        """Return how many batches share the update that the current one belongs to."""
        frequency = self.settings.update_freq
        first = (self.state.batch - 1) // frequency * frequency
        return min(frequency, self.batches - first)

    def _update(self) -> None:
        """Apply the gradients, then log and save where it is time to."""
        if self._pending:
            self.job.optimizer.set_step(self.state.step)
            self.precision.update(self.job.optimizer)
            self.job.optimizer.clear_grad()
        self._pending = 0
        self.state.step += 1
        if self.ema:
            self.ema.update(self.state.step)
        if self.state.step % self.settings.print_batch_step == 0:
            self._report_step()
        if self.settings.save_steps and self.state.step % self.settings.save_steps == 0:
            self.save()
        if self.stop.is_set:
            self.save()
        self.stop.check()

    def _report_step(self) -> None:
        self._check_loss()
        if not self.meter.is_empty:
            left = (self.settings.epochs - self.state.epoch) * self.batches - self.state.batch
            figures = self.meter.read_window(left)
            lr = self.job.optimizer.schedule.at(self.state.step - 1)
            self.loggers.write(self._record("train", lr=lr, batch=self.state.batch, **figures))

    def _check_loss(self) -> None:
        """Stop when the loss is no number any more; this is where the host waits for the device.

        Raises:
            TrainingError: naming the steps between which it happened.
        """
        if not math.isfinite(self.meter.window_loss()):
            raise TrainingError(self._not_finite("loss", self._sound_until))
        self._sound_until = self.state.step

    def _check_weights(self) -> None:
        """Stop before weights are judged or saved that are no numbers any more.

        Raises:
            TrainingError: naming the step by which it happened.
        """
        finite = [paddle.isfinite(weight).all() for weight in self.job.network.parameters()]
        if not all(flag.item() for flag in finite):
            raise TrainingError(self._not_finite("weights", self.state.step - 1))

    def _not_finite(self, what: str, sound_until: int) -> str:
        lr = self.job.optimizer.schedule.at(max(0, self.state.step - 1))
        return (
            f"the {what} became NaN or Inf between steps {sound_until} and {self.state.step} "
            f"(epoch {self.state.epoch + 1}), learning rate {lr:g}. {self._last_good()} "
            "Usual causes: a learning rate that is too high (lower Optimizer.lr.learning_rate, or "
            "add warmup_epoch), or no gradient clipping (Optimizer.clip_norm)"
        )

    def _last_good(self) -> str:
        paths = self.checkpoints.paths()
        return (
            f"The last good checkpoint is {paths[-1]}."
            if paths
            else "No checkpoint had been written yet."
        )

    def _report_epoch(self) -> None:
        self._check_loss()
        figures = self.meter.epoch_figures()
        if figures:
            self.loggers.write(self._record("epoch", figures=figures))

    def _end_epoch(self) -> None:
        """Evaluate, keep the best, decide whether to go on, and save."""
        self._check_weights()
        if self._time_to_evaluate():
            self._keep_if_best(self._evaluate())
        self.state = replace(self.state, epoch=self.state.epoch + 1, batch=0, running={})
        self.meter.begin_epoch({})
        last = self.state.epoch == self.settings.epochs or self.state.finished
        if last or self.state.epoch % self.settings.save_interval == 0:
            self.save()

    def _time_to_evaluate(self) -> bool:
        settings, done = self.settings, self.state.epoch + 1
        if (
            not settings.eval_during_train
            or self.job.eval is None
            or done < settings.start_eval_epoch
        ):
            return False
        return done % settings.eval_interval == 0 or done == settings.epochs

    def _evaluate(self) -> Evaluation:
        try:
            with self.ema.applied() if self.ema else contextlib.nullcontext():
                return self._run_evaluation()
        except Interrupted:
            # Only here, outside the block above, has the network its own weights again.
            self.save()
            raise

    def _run_evaluation(self) -> Evaluation:
        job = self.job
        assert job.eval is not None
        batches = self.stop.watch(job.eval.loader.epoch(0))
        found = evaluate(job.network, batches, job.eval_metrics, job.eval_loss)
        for image in found.bad:
            _log.warning("left out of the evaluation, unreadable: %s: %s", image.path, image.reason)
        return found

    def _keep_if_best(self, found: Evaluation) -> None:
        name, early = self.job.best_metric, self.settings.early_stop
        value = found.figures.get(name, math.nan)
        gain = self._gain(name, value, self.state.best_value)
        if gain > 0:
            self.state.best_value, self.state.best_epoch = value, self.state.epoch + 1
            self._save_best(found)
        self._count_patience(name, value)
        self.loggers.write(
            self._record("eval", figures=found.figures, images=found.images, best=gain > 0)
        )
        if early and self.state.evaluations_without_gain >= early.patience:
            _log.info("early stop: %s has not improved for %d evaluations", name, early.patience)
            self.state.finished = True

    def _count_patience(self, name: str, value: float) -> None:
        """Count evaluations since the last gain of more than `early_stop.min_delta`."""
        least = self.settings.early_stop.min_delta if self.settings.early_stop else 0.0
        if self._gain(name, value, self.state.reference) > least:
            self.state.reference, self.state.evaluations_without_gain = value, 0
        else:
            self.state.evaluations_without_gain += 1

    def _gain(self, name: str, value: float, best: Optional[float]) -> float:
        """Return by how much `value` is better than `best`; anything but nan beats None."""
        if math.isnan(value) or best is None:
            return -math.inf if math.isnan(value) else math.inf
        higher_is_better = name != "loss" and self.job.eval_metrics.higher_is_better(name)
        return value - best if higher_is_better else best - value

    def _save_best(self, found: Evaluation) -> None:
        arrays = self.ema.arrays() if self.ema else _arrays(self.job.network)
        facts = {"epoch": self.state.epoch + 1, "step": self.state.step, "metrics": found.figures}
        save_weights(self.folder.best_model, arrays, {**self._about(), **facts})

    def _record(self, event: str, **values: Any) -> Dict[str, Any]:
        position = self.state.epoch + self.state.batch / self.batches
        return {
            "event": event,
            "epoch": self.state.epoch + 1,
            "step": self.state.step,
            "position": position,
            **values,
        }

    def is_behind(self, record: Record) -> bool:
        """Whether the run, where it stands now, will not make this record again."""
        if record["step"] == self.state.step:
            return self.state.batch == 0 or record["event"] == "train"
        return bool(record["step"] < self.state.step)

    def save(self) -> Path:
        """Write a checkpoint of this moment, after making sure that it is worth resuming from.

        Raises:
            CheckpointError: it cannot be written.
            TrainingError: the loss is not finite.
        """
        self._check_loss()
        self._check_weights()
        self.state.running = self.meter.state()
        self.state.bad_samples = self.bad.indices()
        self.state.loss_scaling = self.precision.state()
        optimizer = self.job.optimizer.state_arrays(self.job.network)
        ema = self.ema.arrays() if self.ema else {}
        return self.checkpoints.save(
            Checkpoint(self.state, self._about(), _arrays(self.job.network), optimizer, ema)
        )

    def _about(self) -> Dict[str, Any]:
        dataset = self.job.train.dataset
        run = {
            "seed": self.seed,
            "samples": len(dataset),
            "images": dataset.fingerprint,
            "batches": self.batches,
            "update_freq": self.settings.update_freq,
        }
        return {**network_facts(self.job), **run, "config": to_yaml(self.config.data)}

    def restore(self, path: Path, checkpoint: Checkpoint) -> None:
        """Go on where `checkpoint` stands.

        Raises:
            CheckpointError: it belongs to another network, other classes or another data set.
        """
        self._check_same_run(path, checkpoint)
        self._warn_of_changes(checkpoint)
        self.job.load(checkpoint.model, path)
        self.job.optimizer.load_state_arrays(self.job.network, checkpoint.optimizer)
        self.precision.load_state(checkpoint.state.loss_scaling)
        if self.ema:
            self.ema.load(checkpoint.ema or checkpoint.model)
        self.bad.restore(checkpoint.state.bad_samples)
        self.state = checkpoint.state
        self._bring_best_model(path)
        self._sound_until = self.state.step

    def _bring_best_model(self, path: Path) -> None:
        """Take the best model along when a run branches off into another folder.

        Where the old folder's best model is of a later epoch than the checkpoint, the branch looks
        for a best model of its own.
        """
        if self.state.best_value is None or self.folder.best_model.exists():
            return
        old = RunFolder(path.parent.parent).best_model
        if old.exists() and read_with_facts(old)[1].get("epoch") == self.state.best_epoch:
            with replacing(self.folder.best_model) as draft:
                shutil.copyfile(old, draft)
        else:
            _log.info("the best model so far is not in %s: looking for one anew", old.parent)
            self.state = replace(self.state, best_value=None, best_epoch=0)

    def _warn_of_changes(self, checkpoint: Checkpoint) -> None:
        """Name the settings that are not what they were when the checkpoint was written."""
        before, now = _flat(yaml.safe_load(checkpoint.about["config"])), _flat(self.config.data)
        for key in sorted({**before, **now}):
            then, here = before.get(key, "not set"), now.get(key, "not set")
            if then != here and not _FREE_TO_CHANGE.fullmatch(key):
                _log.warning("resumed with another %s: it was %s and is %s now", key, then, here)

    def _check_same_run(self, path: Path, checkpoint: Checkpoint) -> None:
        now, then = self._about(), checkpoint.about
        for key, what in _SAME.items():
            if key in then and then[key] != now[key]:
                raise CheckpointError(
                    f"{path} cannot be resumed: {what} {_short(then[key])}, but the configuration "
                    f"gives {_short(now[key])}. Restore the setting, or start a new run: "
                    f"-o Global.output_dir=ANOTHER_FOLDER{_FROM_WEIGHTS.get(key, '').format(path)}"
                )


def _flat(data: Any, prefix: str = "") -> Dict[str, Any]:
    """Return nested mappings and lists as {dotted path: value}."""
    if not isinstance(data, (dict, list)) or not data:
        return {prefix: data}
    items = data.items() if isinstance(data, dict) else enumerate(data)
    children = (_flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in items)
    return {path: value for child in children for path, value in child.items()}


def _arrays(network: paddle.nn.Layer) -> Dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."
