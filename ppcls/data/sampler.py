"""In which order images are taken, and in which batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, List

import numpy as np
from pydantic import Field

from ppcls.errors import ConfigError
from ppcls.registry import Provided, register


@register("sampler")
@dataclass(eq=False)
class DistributedBatchSampler:
    """Every image once an epoch, in batches, shared out among processes.

    A step takes ``batch_size * world_size`` images in order, of which rank r gets the r-th part, so
    that the processes together see the same batches as one process with the joined batch size. No
    image is repeated to fill up: the last step's images are dealt out as evenly as possible, and a
    rank may get none. Every rank has the same number of batches.

    Args:
        batch_size: images for one process and step.
        shuffle: draw a new order each epoch.
        drop_last: leave out the last step if it is incomplete.
        length: number of images.
        seed: the order is a function of seed and epoch only.
        rank: which process, from 0.
        world_size: number of processes.

    Raises:
        ConfigError: `drop_last` leaves nothing.
    """

    batch_size: Annotated[int, Field(ge=1)]
    shuffle: bool = False
    drop_last: bool = False
    length: Provided[int] = 0
    seed: Provided[int] = 0
    rank: Provided[int] = 0
    world_size: Provided[int] = 1

    def __post_init__(self) -> None:
        self._step = self.batch_size * self.world_size
        if self.drop_last and self.length < self._step:
            raise ConfigError(
                f"drop_last leaves no batch: there are {self.length} images, and a step takes "
                f"{self._step}; make batch_size smaller or set drop_last: false"
            )

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return self.length // self._step if self.drop_last else -(-self.length // self._step)

    def batches(self, epoch: int) -> List[np.ndarray]:
        """Return this rank's batches of an epoch, each an int64 array of image numbers.

        A number beyond `length` is another copy of the image that it is modulo `length`.
        """
        order, step = self._order(epoch), self._step
        return [self._share(order[i * step : (i + 1) * step]) for i in range(len(self))]

    def _order(self, epoch: int) -> np.ndarray:
        if self.shuffle:
            return np.random.default_rng([self.seed, epoch]).permutation(self.length)
        return np.arange(self.length)

    def _share(self, indices: np.ndarray) -> np.ndarray:
        return np.array_split(indices, self.world_size)[self.rank]


register("sampler", "BatchSampler")(DistributedBatchSampler)


@register("sampler")
@dataclass(eq=False)
class RASampler(DistributedBatchSampler):
    """Repeated augmentation: fewer images in an epoch, each several times, changed differently.

    Hoffer et al. 2020, "Augment Your Batch", arXiv:1901.09335; the form is that of Touvron et al.
    2021, "Training data-efficient image transformers", arXiv:2012.12877: an epoch is as long as
    ever, so it sees one in `repeats` of the images, drawn anew, and the copies of an image come one
    after the other, in the same step mostly, dealt out to the processes in turn. For training only.

    Args:
        batch_size: images for one process and step, copies included.
        shuffle: draw a new order each epoch; without it, an epoch would always see the same images.
        drop_last: leave out the last step if it is incomplete.
        repeats: copies of each image.
        length, seed, rank, world_size: see `DistributedBatchSampler`.

    Raises:
        ConfigError: `drop_last` leaves nothing, or `shuffle` is off.
    """

    shuffle: bool = True
    repeats: Annotated[int, Field(ge=1)] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.shuffle:
            raise ConfigError(
                "RASampler: without shuffle, every epoch would see the same part of the images; "
                "set shuffle: True"
            )

    def _order(self, epoch: int) -> np.ndarray:
        """Return image numbers, to which copies add a multiple of the number of images."""
        images = super()._order(epoch)[: -(-self.length // self.repeats)]
        copies = self.length * np.arange(self.repeats)
        return (images[:, None] + copies).reshape(-1)[: self.length]

    def _share(self, indices: np.ndarray) -> np.ndarray:
        return indices[self.rank :: self.world_size]
