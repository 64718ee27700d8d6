"""The running statistics of batch normalisation, taken anew from images of training.

Those that training leaves are a moving average over weights that have changed meanwhile. Wu,
Johnson 2021, "Rethinking 'Batch' in BatchNorm", arXiv:2105.07576, calls what is taken here precise;
Izmailov et al. 2018, arXiv:1803.05407, need it for averages of weights.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import islice
from typing import Callable, Iterator, List

import paddle
from paddle import nn

from ppcls.data.batch import Batch
from ppcls.data.loader import DataLoader
from ppcls.engine.device_ops import network_input


@dataclass(eq=False)
class PreciseStatistics:
    """Takes statistics.

    Attributes:
        train: images of training, transformed as for training.
        batches: how many of its batches, an epoch's at most; 0 leaves the statistics as they are.
        watch: what batches go through, which may show progress, and leave by an exception.
    """

    train: DataLoader
    batches: int
    watch: Callable[[Iterator[Batch]], Iterator[Batch]] = iter

    @paddle.no_grad()
    def take(self, model: nn.Layer, epoch: int) -> None:
        """Replace the running statistics by their mean over the first batches of an epoch, counted
        from 0.
        """
        layers = normalising(model)
        if not layers or not self.batches:
            return
        was_training = model.training
        momenta = [layer._momentum for layer in layers]
        # Nothing but these layers learns from the images, and nothing is dropped.
        model.eval()
        for layer in layers:
            layer.training = True
        try:
            with contextlib.closing(self.train.epoch(epoch)) as found:
                taken = self.watch(islice(filter(len, found), self.batches))
                for count, batch in enumerate(taken):
                    for layer in layers:
                        layer._momentum = count / (count + 1)
                    model(network_input(batch))
        finally:
            for layer, momentum in zip(layers, momenta):
                layer.training, layer._momentum = False, momentum
            if was_training:
                model.train()


def normalising(model: nn.Layer) -> List[nn.BatchNorm2D]:
    """Return the layers whose running statistics training changes."""
    held = {id(layer) for layer in getattr(model, "held_in_evaluation", ())}
    kinds = (nn.BatchNorm2D, nn.BatchNorm1D, nn.BatchNorm)
    return [
        layer
        for layer in model.sublayers(include_self=True)
        if isinstance(layer, kinds) and id(layer) not in held and not layer._use_global_stats
    ]
