"""Stochastic weight averaging: the mean of the weights at the ends of the last epochs.

Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization",
arXiv:1803.05407. The running statistics of batch normalisation belong to none of the networks that
were averaged, so they are taken anew from images of training.
"""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import Iterator, List

import paddle
from paddle import nn

from ppcls.config import Config
from ppcls.data.loader import DataLoader
from ppcls.engine.device_ops import network_input
from ppcls.engine.ema import AveragedWeights
from ppcls.optimizer.schedule import Schedule
from ppcls.optimizer.schedule.then_constant import ThenConstant


def first_averaged(start: float, epochs: int) -> int:
    """Return the number of the first epoch, counted from 0, after a fraction of all; the last one
    at the latest.
    """
    return max(0, min(round(start * epochs), epochs - 1))


def with_constant_end(config: Config, schedule: Schedule) -> Schedule:
    """Return the schedule with the constant rate of averaging at its end, if the section SWA has
    one.

    Raises:
        ConfigError: the schedule does not end early.
    """
    section = config.SWA
    if section is None or section.learning_rate is None:
        return schedule
    begin = first_averaged(section.start, schedule.epochs)
    with config.naming("SWA", "learning_rate"):
        return ThenConstant(schedule, section.learning_rate, begin, section.anneal_epochs)


class StochasticWeightAverage(AveragedWeights):
    """Keeps the mean of every floating-point entry of a state dict over the ends of epochs; until
    the first of those, the weights themselves.

    Args:
        model: what is trained.
        begin: how many epochs pass before the first whose end counts.
        steps_per_epoch: updates.
        train: images of training, for the statistics of batch normalisation.
        batches: how many of its batches; 0 leaves the mean of the running statistics.
    """

    def __init__(
        self,
        model: nn.Layer,
        begin: int,
        steps_per_epoch: int,
        train: DataLoader,
        batches: int,
    ) -> None:
        super().__init__(model)
        self.begin, self.steps_per_epoch = begin, steps_per_epoch
        self.train, self.batches = train, batches

    @paddle.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimiser update number `step` (counted from 1), if that was
        the last one of an epoch.
        """
        epochs, rest = divmod(step, self.steps_per_epoch)
        if rest:
            return
        count = max(1, epochs - self.begin)
        for name, value in self.model.state_dict().items():
            if paddle.is_floating_point(value):
                average = self.average[name]
                average.scale_(1 - 1 / count)
                average.add_(value.astype(average.dtype).scale(1 / count))
            else:
                paddle.assign(value, self.average[name])

    @contextlib.contextmanager
    def applied(self, epochs: int = 0) -> Iterator[None]:
        """Let the network have the averaged weights inside the block, and statistics of its own."""
        with super().applied(epochs):
            if epochs - self.begin > 1:
                self._take_statistics(epochs - 1)
            yield

    @paddle.no_grad()
    def _take_statistics(self, epoch: int) -> None:
        """Replace the running statistics by their mean over batches of an epoch of training."""
        layers = _normalising(self.model)
        if not layers or not self.batches:
            return
        was_training = self.model.training
        momenta = [layer._momentum for layer in layers]
        # Nothing but these layers learns from the images, and nothing is dropped.
        self.model.eval()
        for layer in layers:
            layer.training = True
        try:
            with contextlib.closing(self.train.epoch(epoch)) as found:
                for count, batch in enumerate(islice(filter(len, found), self.batches)):
                    for layer in layers:
                        layer._momentum = count / (count + 1)
                    self.model(network_input(batch))
        finally:
            for layer, momentum in zip(layers, momenta):
                layer.training, layer._momentum = False, momentum
            if was_training:
                self.model.train()
        for name, value in self.model.state_dict().items():
            if name.endswith(("._mean", "._variance")):
                paddle.assign(value, self.average[name])


def _normalising(model: nn.Layer) -> List[nn.BatchNorm2D]:
    """Return the layers whose running statistics training changes."""
    held = {id(layer) for layer in getattr(model, "held_in_evaluation", ())}
    kinds = (nn.BatchNorm2D, nn.BatchNorm1D, nn.BatchNorm)
    return [
        layer
        for layer in model.sublayers(include_self=True)
        if isinstance(layer, kinds) and id(layer) not in held and not layer._use_global_stats
    ]
