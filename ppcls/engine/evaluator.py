"""Evaluation: exact over the whole set, the last incomplete batch included."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Optional

import paddle

from ppcls.data.batch import BadImage, Batch
from ppcls.engine.world import World
from ppcls.loss import CombinedLoss
from ppcls.metric import CombinedMetric


@dataclass
class Evaluation:
    """Metrics over all readable images of a set, and the images that could not be read."""

    metrics: Dict[str, float]
    images: int
    seconds: float
    bad: List[BadImage] = field(default_factory=list)


@paddle.no_grad()
def evaluate_network(
    network: paddle.nn.Layer,
    batches: Iterable[Batch],
    metrics: CombinedMetric,
    loss: Optional[CombinedLoss] = None,
    world: Optional[World] = None,
) -> Evaluation:
    """Run the network over all batches in evaluation mode and return the mean loss and the metrics.

    The network's mode (training or evaluation) is what it was before.

    Args:
        network: images -> logits.
        batches: this process's share of the set.
        metrics: what to measure.
        loss: what to average besides.
        world: the processes that share the set; None for one.
    """
    world = world or World()
    was_training, began = network.training, time.perf_counter()
    network.eval()
    metrics.reset()
    tally = _Tally()
    for batch in batches:
        tally.bad.extend(batch.bad)
        if len(batch):
            _judge(network, batch, metrics, loss, tally)
    if was_training:
        network.train()
    images = world.sum(tally.images)
    found = {**tally.mean_losses(world), **world.compute(metrics)}
    return Evaluation(found, images, time.perf_counter() - began, world.sum(tally.bad))


class _Tally:
    """Sums of the losses, kept on the device until the end."""

    def __init__(self) -> None:
        self.sums: Dict[str, paddle.Tensor] = {}
        self.images = 0
        self.bad: List[BadImage] = []

    def add(self, losses: Dict[str, paddle.Tensor], count: int) -> None:
        for name, value in losses.items():
            weighted = value.astype("float64") * count
            self.sums[name] = self.sums[name] + weighted if name in self.sums else weighted
        self.images += count

    def mean_losses(self, world: World) -> Dict[str, float]:
        """Return the mean loss over the images of all processes, if there is a loss."""
        total = world.sum(self.sums["loss"].item() if self.sums else 0.0)
        return {"loss": total / world.sum(self.images)} if world.any(bool(self.sums)) else {}


def _judge(
    network: paddle.nn.Layer,
    batch: Batch,
    metrics: CombinedMetric,
    loss: Optional[CombinedLoss],
    tally: _Tally,
) -> None:
    logits = network(paddle.to_tensor(batch.images))
    labels = batch.labels.map(paddle.to_tensor)
    metrics.update(logits, labels)
    tally.add(loss(logits, labels) if loss else {}, len(batch))
