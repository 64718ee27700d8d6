"""Batches of images, read ahead by threads."""

from __future__ import annotations

import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock
from typing import Deque, Dict, Generator, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from ppcls.data.batch import BadImage, Batch
from ppcls.data.batch_transforms import BatchTransform
from ppcls.data.cache import ImageCache, Kept
from ppcls.data.dataset import Dataset
from ppcls.data.outage import Patience
from ppcls.data.pace import Pace
from ppcls.data.sampler import DistributedBatchSampler, Size
from ppcls.data.transforms import Pipeline
from ppcls.errors import BadImageError, DataError, PpclsError
from ppcls.labels import LabelKind

_CHUNKS_PER_WORKER = 4
_SWITCH = 0.0002
"""Seconds after which a thread that reads images leaves the interpreter to one that waits for it.
With Python's own 5 ms, steps of small networks took a tenth longer: each operator that returns to
Python waits for its turn.
"""


@dataclass(eq=False)
class DataLoader:
    """Reads the batches of a data set in the sampler's order.

    Threads share the work, since OpenCV and NumPy let others run while they compute. What an image
    looks like after random transforms depends on (seed, epoch, its number) and nothing else;
    what batch transforms do, on (seed, epoch, the batch's number).

    Attributes:
        dataset: the images.
        sampler: their order.
        num_workers: number of threads; 0 reads each batch in the caller's thread when it is asked
            for. Where an epoch has shown that images take little time, the next has one thread.
        seed: seed of the random transforms of images and batches.
        prefetch: how many batches to have under way besides the one that is handed out.
        batch_transforms: what is done to each batch, one after the other.
        patience: how long to wait for a data set that cannot be reached any more.
        cache: keeps what was read for later epochs, if it is to be kept.
        leaves_levels: hand out levels of uint8 where it can be, with what is left to do in
            `Batch.left`: for a device that does it faster, and gets a quarter of the bytes.
        isolate: let the threads run in a process of their own, which lives as long as the loader.
        epochs: how many there are, for transforms that change in the course of training.
    """

    dataset: Dataset
    sampler: DistributedBatchSampler
    num_workers: int = 0
    seed: int = 0
    prefetch: int = 2
    batch_transforms: Sequence[BatchTransform] = ()
    patience: Patience = field(default_factory=Patience)
    cache: Optional[ImageCache] = None
    leaves_levels: bool = False
    isolate: bool = False
    epochs: int = 1
    _pace: Pace = field(default_factory=Pace, init=False, repr=False)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self.sampler)

    @property
    def label_kind(self) -> LabelKind:
        """How the labels of the batches are to be read, batch transforms included.

        Raises:
            ConfigError: a batch transform does not take the labels that it would get.
        """
        kind = self.dataset.label_kind
        for transform in self.batch_transforms:
            kind = transform.output_kind(kind)
        return kind

    def stages(self) -> Dict[int, Pipeline]:
        """Return the transforms of the first epoch, and of each in which images change in size."""
        found = {0: self._transform_in(0)}
        for epoch in range(1, self.epochs):
            transform = self._transform_in(epoch)
            if transform.output_size != found[max(found)].output_size:
                found[epoch] = transform
        return found

    def pipelines(self) -> List[Pipeline]:
        """Return the transforms of every size in which images come, in any epoch.

        Raises:
            ConfigError: the ops do not fit a size.
        """
        stages = list(self.stages().values())
        sizes: List[Size] = getattr(self.sampler, "sizes", [])
        return [stage.in_size(*size) for stage in stages for size in sizes] if sizes else stages

    def _sizes_of(self, epoch: int) -> Optional[List[Size]]:
        """Return the sizes of an epoch's batches; a sampler of one's own need not know any."""
        sizes_of = getattr(self.sampler, "sizes_of", None)
        return sizes_of(epoch) if sizes_of else None

    def largest_batch(self) -> Tuple[int, int]:
        """Return the first epoch in which images are as large as they get, and the number of the
        batch with the most pixels in it.
        """
        pixels = {epoch: _pixels(stage.output_size) for epoch, stage in self.stages().items()}
        epoch = max(pixels, key=lambda one: (pixels[one], -one))
        sizes, batches = self._sizes_of(epoch), self.sampler.batches(epoch)
        if not sizes:
            return epoch, 0
        numbers = range(len(batches))
        return epoch, max(numbers, key=lambda one: len(batches[one]) * _pixels(sizes[one]))

    def transform_of(self, epoch: int, number: int) -> Pipeline:
        """Return the transforms of a batch of an epoch."""
        usual, sizes = self._transform_in(epoch), self._sizes_of(epoch)
        return usual.in_size(*sizes[number]) if sizes else usual

    def _transform_in(self, epoch: int) -> Pipeline:
        return self.dataset.transform.at(min(1.0, epoch / self.epochs))

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches of an epoch, from batch number `start` on.

        Raises:
            DataError: the images of a batch differ in size.
            OutageError: the data set cannot be reached, and did not come back in time.
            RuntimeError: a transform failed for another reason than the image; it names the image,
                and its cause holds the traceback.
        """
        if self.isolate:
            from ppcls.data.isolated import epoch_of

            return epoch_of(self, epoch, start)
        self.patience.begin()
        usual, sizes = self._transform_in(epoch), self._sizes_of(epoch)
        in_sizes = {size: usual.in_size(*size) for size in set(sizes or [])}
        batches = (
            _Reading(self, in_sizes[sizes[number]] if sizes else usual, indices, epoch, number)
            for number, indices in enumerate(self.sampler.batches(epoch)[start:], start)
        )
        if self.num_workers < 1:
            return (reading.alone() for reading in batches)
        return self._read_ahead(batches)

    def _read_ahead(self, batches: Iterator[_Reading]) -> Generator[Batch, None, None]:
        threads = self.num_workers if self._pace.is_worth_threads() else 1
        pool = ThreadPoolExecutor(threads, thread_name_prefix="ppcls-data")
        under_way: Deque[Tuple[_Reading, List[Future[None]]]] = deque()
        before = sys.getswitchinterval()
        is_slow = before > _SWITCH
        try:
            if is_slow:
                sys.setswitchinterval(_SWITCH)
            for reading in batches:
                under_way.append((reading, self._start(pool, reading)))
                if len(under_way) > self.prefetch:
                    yield _finish(*under_way.popleft())
            while under_way:
                yield _finish(*under_way.popleft())
        finally:
            if is_slow:
                sys.setswitchinterval(before)
            self.patience.end()
            for future in chain.from_iterable(futures for _, futures in under_way):
                future.cancel()
            pool.shutdown(wait=True)

    def _start(self, pool: ThreadPoolExecutor, reading: _Reading) -> List[Future[None]]:
        size = max(1, len(reading) // (self.num_workers * _CHUNKS_PER_WORKER))
        # An empty batch is a piece of work too: somebody must put it together.
        starts = range(0, max(1, len(reading)), size)
        return [pool.submit(reading.read, start, start + size) for start in starts]


def _pixels(size: Optional[Tuple[int, int]]) -> int:
    return size[0] * size[1] if size else 0


def _finish(reading: _Reading, futures: List[Future[None]]) -> Batch:
    for future in futures:
        future.result()
    return reading.batch()


class _Reading:
    """A batch that is being read; threads fill different places, the last one puts it together."""

    def __init__(
        self,
        loader: DataLoader,
        transform: Pipeline,
        indices: np.ndarray,
        epoch: int,
        number: int,
    ) -> None:
        self._dataset, self._cache, self._transform = loader.dataset, loader.cache, transform
        self._patience = loader.patience
        self._transforms = loader.batch_transforms
        self._pace = loader._pace
        self._seed = [loader.seed, epoch]
        self._number = number
        # Copies of an image have numbers of their own, from which their random changes follow.
        self._drawn = indices.astype(np.int64)
        has_copies = getattr(loader.sampler, "repeats", 1) > 1
        self._indices = self._drawn % len(loader.dataset) if has_copies else self._drawn
        self._bad: List[Optional[BadImage]] = [None] * len(indices)
        self._loose: List[Optional[np.ndarray]] = [None] * len(indices)
        self._finish = transform.finish if transform.output_size else None
        self._leaves = loader.leaves_levels and all(op.passes_on for op in loader.batch_transforms)
        self._images = _room_for(len(indices), transform, self._leaves)
        self._lock = Lock()
        self._unread = len(indices)
        self._batch: Optional[Batch] = None

    def __len__(self) -> int:
        return len(self._indices)

    def alone(self) -> Batch:
        """Read everything in the caller's thread."""
        self.read(0, len(self))
        return self.batch()

    def batch(self) -> Batch:
        """Return the batch, once every image of it was read."""
        assert self._batch is not None
        return self._batch

    def read(self, start: int, stop: int) -> None:
        """Read the images at places `start` to `stop` of the batch."""
        began = time.perf_counter()
        indices = self._indices[start:stop].tolist()
        levels = self._room_for_levels(start, len(indices))
        for place, index in enumerate(indices):
            self._read_one(start + place, index, None if levels is None else levels[place])
        if levels is not None and self._finish and not self._leaves:
            assert self._images is not None
            self._finish(levels, self._images[start : start + len(indices)])
        with self._lock:
            self._unread -= len(indices)
            is_last = self._unread == 0
        if is_last:
            self._batch = self._transformed(self._put_together())
        self._pace.add(time.perf_counter() - began, len(indices))

    def _room_for_levels(self, start: int, count: int) -> Optional[np.ndarray]:
        """Return where images are written that are finished together: in the batch, if that is to
        happen elsewhere.
        """
        if self._finish is None or self._images is None:
            return None
        if self._leaves:
            return self._images[start : start + count]
        return np.empty((count, *_shape_of_levels(self._transform)), np.uint8)

    def _read_one(self, place: int, index: int, levels: Optional[np.ndarray]) -> None:
        transform = self._transform
        rng = np.random.default_rng([*self._seed, int(self._drawn[place])])
        try:
            source = self._source(index)
            if levels is not None:
                transform.levels(source, rng, levels)
            else:
                out = None if self._images is None else self._images[place]
                self._loose[place] = transform(source, rng, out)
        except BadImageError as error:
            label = self._dataset.labels.values[index].tolist()
            self._bad[place] = BadImage(index, self._dataset.name(index), label, str(error))
        except PpclsError:
            raise
        except Exception as error:
            name = self._dataset.name(index)
            raise RuntimeError(
                f"image {index}, '{name}', could not be loaded: {error!r}"
            ) from error

    def _source(self, index: int) -> Kept:
        """Return the file of an image, or what was kept of it."""
        kept = None if self._cache is None else self._cache.get(index)
        if kept is None:
            kept = self._patience.read(self._dataset, index)
            if self._cache is not None:
                kept = self._cache.keep(index, kept, self._transform)
        return kept

    def _put_together(self) -> Batch:
        """Return the batch without its bad images."""
        bad = [item for item in self._bad if item is not None]
        good = np.array([item is None for item in self._bad], dtype=bool)
        images = self._stacked() if self._images is None else self._images
        if bad and self._images is not None:
            images = images[good]
        indices = self._indices[good]
        left = (self._finish,) if self._finish and self._leaves else ()
        return Batch(images, self._dataset.labels[indices], indices, self._number, bad, left)

    def _transformed(self, batch: Batch) -> Batch:
        # The key keeps these numbers apart from those of the image with the batch's number.
        seed = np.random.SeedSequence([*self._seed, self._number], spawn_key=(1,))
        rng = np.random.default_rng(seed)
        for transform in self._transforms:
            batch = transform(batch, rng)
        return batch

    def _stacked(self) -> np.ndarray:
        loaded = [image for image in self._loose if image is not None]
        if not loaded:
            transform = self._transform
            return np.empty((0, transform.channels, 0, 0), transform.output_dtype)
        sizes = sorted({image.shape[1:] for image in loaded})
        if len(sizes) > 1:
            raise DataError(
                "the images of a batch differ in size after transform_ops, for example "
                f"{sizes[0]} and {sizes[-1]} (height, width); "
                "end the list with CropImage, or with ResizeImage and size"
            )
        return np.stack(loaded)


def _room_for(count: int, transform: Pipeline, leaves_levels: bool) -> Optional[np.ndarray]:
    """Return memory for the images of a batch, or None where their size is not known before."""
    if transform.output_size is None:
        return None
    if transform.finish and leaves_levels:
        return np.empty((count, *_shape_of_levels(transform)), np.uint8)
    return np.empty((count, transform.channels, *transform.output_size), transform.output_dtype)


def _shape_of_levels(transform: Pipeline) -> Tuple[int, int, int]:
    """Return height, width and channels of what `finish` takes."""
    assert transform.finish is not None and transform.output_size is not None
    return (*transform.output_size, transform.finish.channels)
