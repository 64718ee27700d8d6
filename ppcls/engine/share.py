"""The part of a batch that one process computes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Iterator

import numpy as np
import paddle

from ppcls.data.batch import Batch
from ppcls.engine.device_ops import network_input
from ppcls.labels import Labels


@dataclass(frozen=True)
class Share:
    """Images and labels on the device.

    Attributes:
        images: n x channels x height x width.
        labels: of these images.
        count: how many of them count: n, or 0 for a stand-in.
    """

    images: paddle.Tensor
    labels: Labels
    count: int

    def scaled(self, loss: paddle.Tensor, total: int, batches: int) -> paddle.Tensor:
        """Return this share's part of the mean loss over all images of an update.

        Args:
            loss: the mean over the share, a scalar.
            total: how many images all processes have in this batch.
            batches: how many batches the update takes together.
        """
        return loss / (batches * (total / self.count)) if self.count else loss * 0.0


@contextlib.contextmanager
def on_device(batch: Batch, network: paddle.nn.Layer) -> Iterator[Share]:
    """Provide the share of a process for forward and backward inside the block.

    A process without images has to take part in the collective operations of forward and backward
    all the same. It computes a stand-in, one black image, which leaves no trace: its loss is scaled
    to 0, and what the layers note of their inputs (running statistics) is taken back.
    """
    labels = batch.labels
    if len(batch):
        yield Share(network_input(batch), labels.map(paddle.to_tensor), len(batch))
        return
    noted = [value for value in network.state_dict().values() if value.stop_gradient]
    before = [value.clone() for value in noted]
    stand_in = replace(batch, images=_one(batch.images), left=batch.left[:1])
    yield Share(network_input(stand_in), labels.map(_one).map(paddle.to_tensor), 0)
    for value, old in zip(noted, before):
        paddle.assign(old, value)


def _one(empty: np.ndarray) -> np.ndarray:
    return np.zeros((1, *empty.shape[1:]), empty.dtype)
