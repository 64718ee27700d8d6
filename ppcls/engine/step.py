"""A step of training outside the trainer, for trials and measurements."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, ContextManager, Tuple

import paddle

from ppcls.data.batch import Batch
from ppcls.engine.device_ops import network_input
from ppcls.engine.job import Job
from ppcls.loss.outputs import Outputs

Watch = Callable[[str], ContextManager[Any]]
"""Returns what is entered around a phase, which it is given the name of: "forward", "backward" or
"update".
"""


def _unwatched(phase: str) -> ContextManager[None]:
    return contextlib.nullcontext()


def learn(
    job: Job, batch: Batch, watch: Watch = _unwatched, together: int = 1
) -> Tuple[paddle.Tensor, Outputs]:
    """Compute the gradients of a batch that has images; return its loss and the outputs.

    Args:
        job: what is trained.
        batch: the images.
        watch: is entered around each phase.
        together: how many batches an update has; their gradients are averaged.
    """
    images, labels = network_input(batch), batch.labels.map(paddle.to_tensor)
    with watch("forward"), job.precision.forward():
        outputs = job.network(images)
        loss = job.loss(outputs, labels, images)["loss"]
    with watch("backward"):
        job.precision.backward(loss if together == 1 else loss / together)
    return loss, outputs


def update(job: Job, step: int, watch: Watch = _unwatched) -> None:
    """Apply the gradients at the rate of a step, counted from 0, and forget them."""
    job.optimizer.set_step(step)
    with watch("update"):
        job.precision.update(job.optimizer)
        job.optimizer.clear_grad()
