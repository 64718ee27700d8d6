"""Batches on their way to a GPU while it computes the one before."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import replace
from typing import Callable, Deque, Generator

import numpy as np
import paddle

from ppcls.data.batch import Batch
from ppcls.data.loader import DataLoader

Send = Callable[[np.ndarray], paddle.Tensor]
"""Starts to copy images to a device, and returns them there, without waiting."""


def batches_on(
    device: str, loader: DataLoader, epoch: int, start: int = 0
) -> Generator[Batch, None, None]:
    """Return the batches of an epoch, from number `start` on; for a GPU, with images that are on
    their way to it, as levels of uint8 where the transforms allow it.

    Args:
        device: "cpu" or "gpu:N".
        loader: reads them.
        epoch: see `DataLoader.epoch`, like `start`, and what is raised.
    """
    if device == "cpu":
        return loader.epoch(epoch, start)
    loader.leaves_levels = True
    return sent_ahead(loader.epoch(epoch, start), pinned_sender(int(device.partition(":")[2] or 0)))


def pinned_sender(gpu: int) -> Send:
    """Return what sends images to a GPU: from memory that the system does not move, which the GPU
    can read while everybody goes on.
    """
    held: Deque[paddle.Tensor] = deque(maxlen=3)
    pinned = paddle.CUDAPinnedPlace()

    def send(images: np.ndarray) -> paddle.Tensor:
        source = paddle.to_tensor(images, place=pinned)
        held.append(source)  # until the copy is done, which nobody waits for
        return source.cuda(gpu, blocking=False)

    return send


def sent_ahead(batches: Generator[Batch, None, None], send: Send) -> Generator[Batch, None, None]:
    """Yield batches whose images were sent before the one in front of them was handed out; a batch
    without images stays as it is.
    """
    under_way: Deque[Batch] = deque()
    with closing(batches):
        for batch in batches:
            sent = replace(batch, images=send(batch.images)) if len(batch) else batch
            under_way.append(sent)
            if len(under_way) > 1:
                yield under_way.popleft()
    yield from under_way
