"""Batches of images, read ahead by threads."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Deque, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from ppcls.data.dataset import Dataset
from ppcls.data.sampler import DistributedBatchSampler
from ppcls.errors import BadImageError, DataError, PpclsError

_CHUNKS_PER_WORKER = 4


@dataclass(frozen=True)
class BadImage:
    """An image that could not be read: its number in the data set, its path, its class, and why."""

    index: int
    path: str
    label: int
    reason: str


@dataclass(frozen=True)
class Batch:
    """Some images of a data set.

    Attributes:
        images: float32, n x channels x height x width.
        labels: int64, n.
        indices: int64, n: the images' numbers in the data set.
        bad: the images of the batch that could not be read; they are missing above, so n may be 0.
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    bad: List[BadImage] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)


class DataLoader:
    """Reads the batches of a data set in the sampler's order.

    Threads share the work, since OpenCV and NumPy let others run while they compute. What an image
    looks like after random transforms depends on (seed, epoch, its number) and nothing else.
    """

    def __init__(
        self,
        dataset: Dataset,
        sampler: DistributedBatchSampler,
        num_workers: int = 0,
        seed: int = 0,
        prefetch: int = 2,
    ) -> None:
        """Keep what to read and how.

        Args:
            dataset: the images.
            sampler: their order.
            num_workers: number of threads; 0 reads each batch in the caller's thread when it is
                asked for.
            seed: seed of the random transforms.
            prefetch: how many batches to have under way besides the one that is handed out.
        """
        self.dataset = dataset
        self.sampler = sampler
        self.num_workers = num_workers
        self.seed = seed
        self.prefetch = max(1, prefetch)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self.sampler)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from batch number `start` on.

        Raises:
            DataError: the images of a batch differ in size.
            RuntimeError: a transform failed for another reason than the image; it names the file,
                and its cause holds the traceback.
        """
        batches = self.sampler.batches(epoch)[start:]
        if self.num_workers < 1:
            return (self._read_alone(batch, epoch) for batch in batches)
        return self._read_ahead(batches, epoch)

    def _read_alone(self, indices: np.ndarray, epoch: int) -> Batch:
        reading = _Reading(self, indices, epoch)
        reading.read(0, len(indices))
        return reading.batch()

    def _read_ahead(self, batches: Sequence[np.ndarray], epoch: int) -> Iterator[Batch]:
        pool = ThreadPoolExecutor(self.num_workers, thread_name_prefix="ppcls-data")
        under_way: Deque[Tuple[_Reading, List[Future[None]]]] = deque()
        try:
            for indices in batches:
                under_way.append(self._start(pool, indices, epoch))
                if len(under_way) > self.prefetch:
                    yield _finish(*under_way.popleft())
            while under_way:
                yield _finish(*under_way.popleft())
        finally:
            for _, futures in under_way:
                for future in futures:
                    future.cancel()
            pool.shutdown(wait=True)

    def _start(
        self, pool: ThreadPoolExecutor, indices: np.ndarray, epoch: int
    ) -> Tuple[_Reading, List[Future[None]]]:
        reading = _Reading(self, indices, epoch)
        size = max(1, len(indices) // (self.num_workers * _CHUNKS_PER_WORKER))
        starts = range(0, len(indices), size)
        return reading, [pool.submit(reading.read, start, start + size) for start in starts]


def _finish(reading: _Reading, futures: List[Future[None]]) -> Batch:
    for future in futures:
        future.result()
    return reading.batch()


class _Reading:
    """A batch that is being read; threads fill different places of it."""

    def __init__(self, loader: DataLoader, indices: np.ndarray, epoch: int) -> None:
        self._dataset = loader.dataset
        self._seed = [loader.seed, epoch]
        self._indices = indices.astype(np.int64)
        self._bad: List[Optional[BadImage]] = [None] * len(indices)
        self._loose: List[Optional[np.ndarray]] = [None] * len(indices)
        transform = loader.dataset.transform
        self._images: Optional[np.ndarray] = None
        if transform.output_size is not None:
            shape = (len(indices), transform.channels, *transform.output_size)
            self._images = np.empty(shape, dtype=np.float32)

    def read(self, start: int, stop: int) -> None:
        """Read the images at places `start` to `stop` of the batch."""
        for place, index in enumerate(self._indices[start:stop].tolist(), start):
            out = None if self._images is None else self._images[place]
            rng = np.random.default_rng([*self._seed, index])
            try:
                self._loose[place] = self._dataset.load(index, rng, out)[0]
            except BadImageError as error:
                path = self._dataset.path(index)
                reason = str(error)
                reason = reason[len(path) + 2 :] if reason.startswith(f"{path}: ") else reason
                self._bad[place] = BadImage(index, path, int(self._dataset.labels[index]), reason)
            except PpclsError:
                raise
            except Exception as error:
                path = self._dataset.path(index)
                raise RuntimeError(
                    f"image {index}, '{path}', could not be loaded: {error!r}"
                ) from error

    def batch(self) -> Batch:
        """Return the batch without its bad images."""
        bad = [item for item in self._bad if item is not None]
        good = np.array([item is None for item in self._bad], dtype=bool)
        images = self._stacked() if self._images is None else self._images
        if bad and self._images is not None:
            images = images[good]
        indices = self._indices[good]
        return Batch(images, self._dataset.labels[indices], indices, bad)

    def _stacked(self) -> np.ndarray:
        loaded = [image for image in self._loose if image is not None]
        if not loaded:
            return np.empty((0, self._dataset.transform.channels, 0, 0), dtype=np.float32)
        sizes = sorted({image.shape[1:] for image in loaded})
        if len(sizes) > 1:
            raise DataError(
                "the images of a batch differ in size after transform_ops, for example "
                f"{sizes[0]} and {sizes[-1]} (height, width); "
                "end the list with CropImage, or with ResizeImage and size"
            )
        return np.stack(loaded)
