"""Evaluation: exact over the whole set, the last incomplete batch included."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Optional, Sequence

import paddle

from ppcls.data.batch import BadImage, Batch
from ppcls.engine.device_ops import network_input
from ppcls.engine.meter import Mean
from ppcls.engine.world import World
from ppcls.errors import DataError
from ppcls.loss import CombinedLoss
from ppcls.loss.outputs import Outputs
from ppcls.metric import CombinedMetric

Observer = Callable[[Batch, Outputs], None]
"""Takes each batch that is not empty, and what the network says of it, still on the device."""

_SHOWN = 10
"""How many bad images are named; a vanished set has all of its own."""


@dataclass
class Evaluation:
    """Metrics over all readable images of a set, and the images that could not be read."""

    metrics: Dict[str, float]
    images: int
    seconds: float
    bad: List[BadImage]

    def check_not_empty(self) -> None:
        """Make sure that there is something to judge by.

        Raises:
            DataError: none of the images could be read.
        """
        if not self.images:
            raise DataError(f"none of the images for evaluation can be read:{self.describe_bad()}")

    def describe_bad(self) -> str:
        """Return a line for each of the first bad images, and how many more there are."""
        shown = [f"\n  {image.name}: {image.reason}" for image in self.bad[:_SHOWN]]
        more = len(self.bad) - len(shown)
        return "".join(shown) + (f"\n  ... and {more} more" if more else "")


@paddle.no_grad()
def evaluate_network(
    network: paddle.nn.Layer,
    batches: Iterable[Batch],
    metrics: CombinedMetric,
    loss: Optional[CombinedLoss],
    world: World,
    observers: Sequence[Observer] = (),
) -> Evaluation:
    """Run the network over all batches in evaluation mode and return the mean loss and the metrics.

    The network's mode (training or evaluation) is what it was before.

    Args:
        network: images -> logits.
        batches: this process's share of the set.
        metrics: what to measure.
        loss: what to average besides, if anything.
        world: the processes that share the set.
        observers: who else gets the batches and the network's outputs.

    Raises:
        OutageError: the set cannot be reached any more.
    """
    was_training, began = network.training, time.perf_counter()
    network.eval()
    metrics.reset()
    losses, bad = Mean(), []
    for batch in batches:
        bad += batch.bad
        if len(batch):
            outputs = network(network_input(batch))
            labels = batch.labels.map(paddle.to_tensor)
            metrics.update(outputs, labels)
            mean = loss(outputs, labels)["loss"] if loss else paddle.zeros([])
            losses.add(mean.astype("float64") * len(batch), len(batch))
            for observe in observers:
                observe(batch, outputs)
    if was_training:
        network.train()
    total, images = losses.read(world)
    found = {"loss": total / images} if loss and images else {}
    found.update(world.compute(metrics))
    return Evaluation(found, images, time.perf_counter() - began, world.sum(bad))
