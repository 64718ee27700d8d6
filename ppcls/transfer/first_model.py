"""The first model of a run on one's own photos: published weights with a fitted linear head."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from ppcls import weights
from ppcls.arch.network import Network
from ppcls.arch.pooled_features import last_layer
from ppcls.data.batch import BadImage
from ppcls.data.dataset.files import ImageFiles
from ppcls.data.loader import DataLoader
from ppcls.data.sampler import DistributedBatchSampler
from ppcls.errors import DataError
from ppcls.files import sha256_of
from ppcls.text import first_few, printable
from ppcls.transfer.features import BATCH, FeatureEngine, Features, features_of, kept, open_features
from ppcls.transfer.linear_head import LinearHead, fit_linear_head
from ppcls.transfer.recipe import THREADS
from ppcls.weights.network_metadata import metadata_of
from ppcls.weights.weight_file import save_weights

_TIMED_FROM = 500
"""Images: reading fewer takes no longer than seeing how long it takes."""

_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class FirstModel:
    """A network with a fitted head.

    Attributes:
        path: its weights.
        head: what was fitted.
        right: how many of the held-back images it gets right.
        held_back: how many of them could be read; 0 where nothing is held back.
        bad: images that could not be read.
        seconds: what it took.
        engine: what computed the features; empty where they were kept from before.
        refit: the weights with a head that has learnt from the held-back images as well, if one
            was asked for and these can be read.
    """

    path: Path
    head: LinearHead
    right: int
    held_back: int
    bad: List[BadImage]
    seconds: float
    engine: str
    refit: Optional[Path] = None

    @property
    def accuracy(self) -> float:
        """The fraction of the held-back images that it gets right."""
        return self.right / max(1, self.held_back)

    @property
    def accuracy_if_judged(self) -> Optional[float]:
        """The same, None where nothing is held back."""
        return self.accuracy if self.held_back else None


class FeatureReader:
    """The features of data sets by one network, whose engine is opened when it is needed."""

    def __init__(self, network: Network, source: Path, device: str, seconds: float) -> None:
        """Keep what computes.

        Args:
            network: with the weights of `source`.
            source: the file of the weights.
            device: "cpu" or "gpu:N".
            seconds: for each set; of one that takes longer only a part is read.
        """
        self.network, self.source, self.device = network, source, device
        self.seconds = seconds
        self.engine: Optional[FeatureEngine] = None

    def read(
        self, dataset: ImageFiles, what: str, flip: bool = False, judges: bool = False
    ) -> Features:
        """Return the features of the images of a set, from the last time if nothing changed.

        Args:
            dataset: the set.
            what: for the bar that shows how far it is.
            flip: whether the mirror images are read as well, to learn from.
            judges: of a set that cannot be read in time, a random part is read then, and of others
                as many images of each class.
        """
        key = {**self._key(dataset), "flip": flip, "seconds": self._limit(dataset)}
        return kept(key, lambda: self._compute(dataset, what, flip, judges))

    def _limit(self, dataset: ImageFiles) -> float:
        """Return what decides how much of a set is read."""
        return self.seconds if len(dataset) > _TIMED_FROM else 0.0

    def _compute(self, dataset: ImageFiles, what: str, flip: bool, judges: bool) -> Features:
        size = dataset.transform.output_size
        assert size is not None
        if self.engine is None:
            shape = (dataset.transform.channels, *size)
            self.engine = open_features(self.network, shape, self.device)
        sampler = _InOrder(self._affordable(dataset, flip, judges))
        loader = DataLoader(dataset, sampler, THREADS)
        with tqdm(total=sampler.length, desc=what, leave=False, disable=None) as bar:
            return features_of(loader.epoch(0), self.engine.run, flip, bar.update)

    def _affordable(self, dataset: ImageFiles, flip: bool, judges: bool) -> np.ndarray:
        """Return the images that can be read in time: all, or some of every class."""
        assert self.engine is not None
        everything = np.arange(len(dataset))
        if len(dataset) <= _TIMED_FROM:
            return everything
        labels = np.zeros(len(dataset), np.int64) if judges else dataset.labels.values
        first = DataLoader(dataset, _InOrder(spread(labels, 4 * BATCH)), THREADS)
        began = time.perf_counter()
        features_of(first.epoch(0), self.engine.run, flip)
        count = int(self.seconds / (time.perf_counter() - began) * 4 * BATCH)
        if count >= len(dataset):
            return everything
        _log.info("features of %d of the %d images, as the budget allows", count, len(dataset))
        return spread(labels, max(count, _TIMED_FROM))

    def _key(self, dataset: ImageFiles) -> Dict[str, Any]:
        files = [Path(dataset.path(index)) for index in range(len(dataset))]
        return {
            "weights": sha256_of(self.source),
            "network": self.network.model_name,
            "arguments": {key: str(value) for key, value in self.network.model_arguments.items()},
            "transform": dataset.transform.spec(),
            "files": [[str(file.absolute()), *_stamp(file)] for file in files],
        }


class _InOrder(DistributedBatchSampler):
    """Batches of some images, in their order."""

    def __init__(self, indices: np.ndarray) -> None:
        super().__init__(BATCH, length=len(indices))
        self._indices = indices

    def batches(self, epoch: int) -> List[np.ndarray]:
        """Return the images' numbers in each batch."""
        return [self._indices[places] for places in super().batches(epoch)]


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the places of `count` images in ascending order, of all classes as many as there are,
    drawn at random but always the same.
    """
    rng = np.random.default_rng(0)
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    of_class = np.concatenate([np.arange(n) for n in np.bincount(labels)])
    return np.sort(order[np.argsort(of_class, kind="stable")][:count])


def _stamp(file: Path) -> List[int]:
    try:
        status = file.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def fit_first_model(
    network: Network,
    reader: FeatureReader,
    train: ImageFiles,
    val: Optional[ImageFiles],
    path: Path,
    seed: int = 0,
    groups: Optional[np.ndarray] = None,
    refit: Optional[Path] = None,
) -> FirstModel:
    """Give `network` a head that is fitted on the training images, and write its weights.

    Args:
        network: with a last layer for the classes of `train`, and the weights whose features
            `reader` gives.
        reader: of the features.
        train: the images to learn from, as evaluation prepares them.
        val: the images that judge; None where nothing is held back.
        path: the file to write.
        seed: of the folds of cross-validation.
        groups: which of the training images belong together, int [n]; None for none.
        refit: the file for the same with a head that learns from the images of `val`, too; None
            for none.

    Raises:
        DataError: none of the training images can be read, or those of a single class.
    """
    began = time.perf_counter()
    learnt = reader.read(train, "features", flip=True)
    labels = train.labels.values[learnt.indices]
    _refuse_single_class(labels, learnt.bad)
    _warn_of_missing(labels, train.class_map.names, len(learnt.bad))
    kept_whole = None if groups is None else groups[learnt.indices]
    classes = len(train.class_map)
    head = fit_linear_head(
        *_rows([learnt], [labels]), classes, views=2, seed=seed, groups=kept_whole
    )
    noted = {**metadata_of(network), "class_names": list(train.class_map.names)}
    _save(network, head, path, noted)
    right, count, bad = 0, 0, learnt.bad
    if val is not None:
        judged = reader.read(val, "features, held back", flip=refit is not None, judges=True)
        truth = val.labels.values[judged.indices]
        right, count = _right(head, judged, truth), len(truth)
        bad = [*bad, *judged.bad]
        if not count:
            refit = None
        if refit is not None:
            every = _rows([learnt, judged], [labels, truth])
            head_of_all = fit_linear_head(*every, classes, views=2, strength=head.strength)
            _save(network, head_of_all, refit, noted)
    engine = reader.engine.name if reader.engine else ""
    return FirstModel(path, head, right, count, bad, time.perf_counter() - began, engine, refit)


def _rows(sets: List[Features], labels: List[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
    """Return the features of sets and then those of the mirror images, with their classes."""
    views = [view for name in ("values", "flipped") for view in (getattr(s, name) for s in sets)]
    return np.concatenate(views), np.tile(np.concatenate(labels), 2)


def _right(head: LinearHead, judged: Features, truth: np.ndarray) -> int:
    """Return how many images the head gets right."""
    if not len(truth):
        return 0
    return int((head.logits(judged.values).argmax(axis=1) == truth).sum())


def _save(network: Network, head: LinearHead, path: Path, noted: Dict[str, Any]) -> None:
    _set_head(network, head)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(network, path, noted)


def _refuse_single_class(labels: np.ndarray, bad: List[BadImage]) -> None:
    if len(np.unique(labels)) > 1:
        return
    shown = "".join(f"\n  {image.name}: {image.reason}" for image in bad[:10])
    raise DataError(
        f"there is nothing to tell apart: {len(labels)} training images can be read, of "
        f"{len(np.unique(labels))} class(es), and {len(bad)} cannot{':' if shown else ''}{shown}"
    )


def _warn_of_missing(labels: np.ndarray, names: Sequence[str], bad: int) -> None:
    """Say which classes the head cannot know."""
    missing = np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0)
    if len(missing):
        why = f"{bad} images cannot be read" if bad else "a longer --budget reads more images"
        shown = printable(first_few([names[int(number)] for number in missing]))
        _log.warning(
            "the linear head never answers %d of the %d classes, of which no image was read (%s): "
            "%s",
            len(missing),
            len(names),
            shown,
            why,
        )


def _set_head(network: Network, head: LinearHead) -> None:
    last = last_layer(network)
    assert last is not None
    name = next(name for name, layer in network.named_sublayers() if layer is last)
    arrays = {f"{name}.weight": head.weight, f"{name}.bias": head.bias}
    weights.load(network, arrays, fit="partial")
