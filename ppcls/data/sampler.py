"""In which order images are taken, and in which batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, List, Optional, Tuple, Union

import numpy as np
from pydantic import Field

from ppcls.errors import ConfigError
from ppcls.registry import Provided, register

Size = Tuple[int, int]
"""(width, height) in pixels."""

Side = Annotated[int, Field(ge=1)]


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

    batch_key: ClassVar[str] = "batch_size"
    """The argument that says how large a batch is."""

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

    @property
    def sizes(self) -> List[Size]:
        """The sizes in which batches come, (width, height); empty where that is the transforms'."""
        return []

    def sizes_of(self, epoch: int) -> Optional[List[Size]]:
        """Return (width, height) of the images of each batch of an epoch; None where the transforms
        settle it.
        """
        return None

    def _order(self, epoch: int) -> np.ndarray:
        if self.shuffle:
            return np.random.default_rng([self.seed, epoch]).permutation(self.length)
        return np.arange(self.length)

    def _share(self, indices: np.ndarray) -> np.ndarray:
        return np.array_split(indices, self.world_size)[self.rank]


@register("sampler")
class MultiScaleSampler(DistributedBatchSampler):
    """Every image once an epoch, in batches whose size in pixels changes from one to the next; the
    smaller the images, the more of them.

    A batch has `first_bs` images of the first size, and as many of another one as have no more
    pixels: Mehta and Rastegari 2022, "MobileViT", arXiv:2110.02178, section 3.2. Which sizes there
    are, and how often, is drawn once, so that every epoch has as many batches; their order changes.
    For training only; the op of the transforms that settles the size (RandCropImage) follows.

    Args:
        scales: the sizes: one side of a square, or ``[width, height]``; pixels.
        first_bs: images of the first size for one process and step.
        divided_factor: sides are lowered to a multiple of it.
        is_training: false takes the first size alone.
        shuffle: draw a new order each epoch.
        drop_last: leave out the last step if it is incomplete.
        length, seed, rank, world_size: see `DistributedBatchSampler`.

    Raises:
        ConfigError: a size is none, or below `divided_factor`, or `drop_last` leaves nothing.
    """

    batch_key = "first_bs"

    def __init__(  # noqa: PLR0913, as a data class would take them
        self,
        scales: Annotated[List[Union[Side, List[Side]]], Field(min_length=1)],
        first_bs: Annotated[int, Field(ge=1)],
        divided_factor: Annotated[int, Field(ge=1)] = 32,
        is_training: bool = True,
        shuffle: bool = True,
        drop_last: bool = False,
        length: Provided[int] = 0,
        seed: Provided[int] = 0,
        rank: Provided[int] = 0,
        world_size: Provided[int] = 1,
    ) -> None:
        wanted = scales if is_training else scales[:1]
        self._sizes = [_rounded(scale, divided_factor) for scale in wanted]
        super().__init__(first_bs, shuffle, drop_last, length, seed, rank, world_size)
        self._plan = self._drawn_plan()

    def _drawn_plan(self) -> List[int]:
        """Return the number of the size of each batch."""
        # The key keeps these numbers apart from those of the orders.
        rng = np.random.default_rng(np.random.SeedSequence([self.seed], spawn_key=(2,)))
        plan: List[int] = []
        left = self.length
        while left > 0:
            scale = int(rng.integers(len(self._sizes)))
            left -= self._images_of(scale) * self.world_size
            plan.append(scale)
        if self.drop_last and left < 0:
            plan.pop()
            if not plan:
                raise ConfigError(
                    f"drop_last leaves no batch of {self.length} images; make first_bs smaller or "
                    "set drop_last: false"
                )
        return plan

    def _images_of(self, scale: int) -> int:
        (first_width, first_height), (width, height) = self._sizes[0], self._sizes[scale]
        return max(1, self.batch_size * first_width * first_height // (width * height))

    @property
    def sizes(self) -> List[Size]:
        """The sizes in which batches come, (width, height)."""
        return list(self._sizes)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self._plan)

    def sizes_of(self, epoch: int) -> Optional[List[Size]]:
        """Return (width, height) of the images of each batch of an epoch."""
        return [self._sizes[scale] for scale in self._scales(epoch)]

    def _scales(self, epoch: int) -> List[int]:
        """Return the number of the size of each batch of an epoch; the last one, which may be
        incomplete, stays.
        """
        if not self.shuffle or not self._plan:
            return self._plan
        *others, last = self._plan
        seed = np.random.SeedSequence([self.seed, epoch], spawn_key=(2,))
        return [*np.random.default_rng(seed).permutation(others).astype(int).tolist(), last]

    def batches(self, epoch: int) -> List[np.ndarray]:
        """Return this rank's batches of an epoch, each an int64 array of image numbers."""
        steps = [self._images_of(scale) * self.world_size for scale in self._scales(epoch)]
        if not steps:
            return []
        ends = np.cumsum(steps)
        parts = np.split(self._order(epoch)[: ends[-1]], ends[:-1])
        return [self._share(part) for part in parts]


def _rounded(scale: Union[int, List[int]], factor: int) -> Size:
    sides = [scale, scale] if isinstance(scale, int) else scale
    if len(sides) != 2 or min(sides) < factor:
        raise ConfigError(
            f"MultiScaleSampler.scales: {scale} is no size of at least {factor} pixels "
            "(divided_factor); write one side of a square, or [width, height]"
        )
    return sides[0] // factor * factor, sides[1] // factor * factor


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
