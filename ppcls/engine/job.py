"""What training works on, in typed parts: a configuration is resolved into these once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence

from ppcls.arch.network import Network
from ppcls.data.dataset import ClassMap
from ppcls.data.loader import DataLoader
from ppcls.data.transforms.base import at_stage
from ppcls.engine.amp import Precision
from ppcls.engine.ema import AveragedWeights
from ppcls.engine.progressive import dropouts_of_head
from ppcls.engine.selection import ModelSelection
from ppcls.labels import LabelKind
from ppcls.loss import CombinedLoss
from ppcls.metric import CombinedMetric
from ppcls.optimizer.core import Optimizer
from ppcls.weights.network_metadata import metadata_of


@dataclass(frozen=True)
class TrainSettings:
    """How long a run lasts, and when it reports, evaluates and saves.

    Attributes:
        epochs: how often every image is seen.
        seed: of everything random.
        update_freq: batches per update of the weights.
        print_batch_step: updates per report.
        save_interval: epochs per checkpoint.
        save_steps: updates per checkpoint, besides; None for none.
        keep_checkpoints: how many of the newest are kept.
        eval_during_train: whether to evaluate at all.
        eval_interval: epochs per evaluation; the last epoch has one as well.
        start_eval_epoch: the first epoch after which to evaluate, counted from 1; the last one is
            evaluated in any case.
        eval_at_start: whether to evaluate the weights that training starts from, which are the
            best model until others are better.
        max_bad_samples: fraction of the training images that may be unreadable.
        progress_dropout: probabilities of dropping a feature in the head, each for an equal part of
            the epochs; empty for the network's own throughout.
    """

    epochs: int
    seed: int
    update_freq: int
    print_batch_step: int
    save_interval: int
    save_steps: Optional[int]
    keep_checkpoints: int
    eval_during_train: bool
    eval_interval: int
    start_eval_epoch: int
    eval_at_start: bool
    max_bad_samples: float
    progress_dropout: Sequence[float] = ()

    def saves_after_step(self, step: int) -> bool:
        """Whether to write a checkpoint after this many updates."""
        return self.save_steps is not None and step % self.save_steps == 0

    def evaluates_after(self, epochs: int) -> bool:
        """Whether to evaluate after this many epochs."""
        due = epochs >= self.start_eval_epoch and epochs % self.eval_interval == 0
        return self.eval_during_train and (due or epochs == self.epochs)

    def evaluations(self) -> int:
        """Return how often a whole run evaluates, where there is something to judge by."""
        last, gap, before = self.epochs, self.eval_interval, max(0, self.start_eval_epoch - 1)
        if not self.eval_during_train or last == 0:
            return int(self.eval_at_start)
        due = max(0, last // gap - before // gap)
        return due + (last % gap > 0 or last <= before) + self.eval_at_start

    def checkpoints(self, updates: int) -> int:
        """Return how many checkpoints a whole run writes, of so many updates in each epoch."""
        after_steps = self.epochs * updates // self.save_steps if self.save_steps else 0
        return -(-self.epochs // self.save_interval) + after_steps


@dataclass
class Job:
    """Everything that training works on.

    Attributes:
        device: "cpu" or "gpu:N".
        kernels: what computes the network's layers, for the log.
        network: with its first weights.
        class_map: the names of the classes.
        train: the images to learn from.
        eval: the images to be judged by, if there are any.
        loss: what is made smaller.
        eval_loss: what evaluation reports besides its metrics.
        metrics: what is measured in training.
        eval_metrics: what is measured in evaluation.
        optimizer: how a step is made.
        selection: which evaluation is the best, and when to stop early.
        precision: the arithmetic of a step.
        ema: the average of the weights, if one is kept.
        settings: how long, and what is kept.
        config: the resolved configuration as plain data, which every checkpoint carries.
        asked_epochs: how many epochs the recipe asks for, where `Global.max_hours` left time for
            fewer; None where it did not.
    """

    device: str
    kernels: str
    network: Network
    class_map: ClassMap
    train: DataLoader
    eval: Optional[DataLoader]
    loss: CombinedLoss
    eval_loss: Optional[CombinedLoss]
    metrics: CombinedMetric
    eval_metrics: CombinedMetric
    optimizer: Optimizer
    selection: ModelSelection
    precision: Precision
    ema: Optional[AveragedWeights]
    settings: TrainSettings
    config: Dict[str, Any]
    asked_epochs: Optional[int] = None

    def begin_epoch(self, epoch: int) -> None:
        """Let the network drop what belongs to the stage of training that an epoch is in."""
        rates = self.settings.progress_dropout
        if not rates:
            return
        rate = at_stage(rates, epoch / self.settings.epochs)
        for layer in dropouts_of_head(self.network):
            layer.p = rate

    def network_metadata(self) -> Dict[str, Any]:
        """Return what a weight file says of its network: enough to refuse it where it does not
        belong.
        """
        found = {**metadata_of(self.network), "class_names": list(self.class_map.names)}
        is_multi_label = self.train.dataset.label_kind is LabelKind.MULTI_HOT
        return {**found, **({"labels": str(LabelKind.MULTI_HOT)} if is_multi_label else {})}
