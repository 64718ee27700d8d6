"""What is left to do with the images of a batch, computed where they lie.

Data sets and loaders know nothing of Paddle, so how their ops compute with tensors stands here.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
import paddle

from ppcls.data.batch import Batch, BatchOp
from ppcls.data.batch_transforms.fmix import Masked
from ppcls.data.batch_transforms.mixup import Mix, Paste
from ppcls.data.transforms.finish import Finish


def network_input(batch: Batch) -> paddle.Tensor:
    """Return the images of a batch on the device, with all done that was left to do."""
    images = batch.images
    images = images if isinstance(images, paddle.Tensor) else paddle.to_tensor(images)
    for op in batch.left:
        images = compute(op, images)
    return images


@singledispatch
def compute(op: BatchOp, images: paddle.Tensor) -> paddle.Tensor:
    """Return what an op makes of images. Ops that are not known here compute on the host."""
    return paddle.to_tensor(op(images.numpy()), place=images.place)


@compute.register
def _finish(op: Finish, images: paddle.Tensor) -> paddle.Tensor:
    channels = op.channels
    table = paddle.to_tensor(op.table.reshape(-1), place=images.place)
    places = images.astype("int32") * channels + paddle.arange(channels, dtype="int32")
    found = paddle.gather(table, places.reshape([-1])).reshape(images.shape)
    found = found.transpose([0, 3, 1, 2])
    if not op.added:
        return found
    count, _, height, width = found.shape
    return paddle.concat([found, paddle.zeros([count, op.added, height, width])], axis=1)


@compute.register
def _mix(op: Mix, images: paddle.Tensor) -> paddle.Tensor:
    order = paddle.to_tensor(op.order, place=images.place)
    others = paddle.index_select(images, order)
    return images * op.fraction + others * (1 - op.fraction)


@compute.register
def _paste(op: Paste, images: paddle.Tensor) -> paddle.Tensor:
    own = np.ones(images.shape[2:], np.bool_)
    own[op.rows, op.columns] = False
    return _masked(Masked(op.order, own), images)


@compute.register
def _masked(op: Masked, images: paddle.Tensor) -> paddle.Tensor:
    order = paddle.to_tensor(op.order, place=images.place)
    own = paddle.to_tensor(op.own, place=images.place).expand(images.shape)
    return paddle.where(own, images, paddle.index_select(images, order))
