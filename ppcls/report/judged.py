"""The images of a set, each judged by a model that has not learnt from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterable, Iterator, List, Optional

import numpy as np
from tqdm import tqdm

from ppcls.arch.network import Network
from ppcls.config import Config
from ppcls.data.batch import Batch
from ppcls.data.dataset import ClassMap, Dataset
from ppcls.data.loader import DataLoader
from ppcls.data.sampler import DistributedBatchSampler
from ppcls.engine.scoring import Scored, score
from ppcls.engine.world import World
from ppcls.errors import ConfigError, DataError
from ppcls.loss.outputs import Outputs
from ppcls.registry import Part
from ppcls.report.duplicates import hash_images
from ppcls.report.findings import Example, SplitSize
from ppcls.report.label_errors import out_of_sample

_BATCH = 32


@dataclass(frozen=True, eq=False)
class Judged:
    """The n readable images of a set, or of as many as were looked at.

    Attributes:
        split: "train" or "val".
        dataset: the whole set.
        scored: what the network says of them.
        probabilities: float32 [n, classes], by a model that has not learnt from the image: for val
            the network, for train a linear head on embeddings, see `judge`; nan where there is
            none.
        hashes: for `find_duplicates`.
    """

    split: str
    dataset: Dataset
    scored: Scored
    probabilities: np.ndarray
    hashes: np.ndarray

    def example(self, row: int) -> Example:
        """Return one of the images with what is said of it; for train that is what the network
        says where no other model could judge.
        """
        chances = self.probabilities[row]
        if not np.isfinite(chances).all():
            chances = self.scored.probabilities_of(row)
        label, best = int(self.scored.labels[row]), int(chances.argmax())
        others = np.delete(chances, best)
        return Example(
            split=self.split,
            index=int(self.scored.indices[row]),
            image=self.scored.names[row],
            label=label,
            predicted=best,
            probability=float(chances[best]),
            label_probability=float(chances[label]),
            margin=float(chances[best] - others.max()) if len(others) else 1.0,
        )

    @property
    def agreement(self) -> float:
        """The fraction of the judged images whose label is the most probable class; 0 without."""
        judged = np.isfinite(self.probabilities).all(axis=1)
        right = self.probabilities[judged].argmax(axis=1) == self.scored.labels[judged]
        return float(right.mean()) if len(right) else 0.0

    @property
    def size(self) -> SplitSize:
        """How many images there are."""
        bad = [f"{image.name}: {image.reason}" for image in self.scored.bad]
        return SplitSize(len(self.dataset), len(self.scored) + len(bad), bad)


def judge(
    split: str, dataset: Dataset, network: Network, most: int, begun: Optional[Network] = None
) -> Judged:
    """Run the network over a set, or over `most` images drawn from it.

    Args:
        split: "train" or "val".
        dataset: the set, with the transforms of evaluation.
        network: images -> logits.
        most: how many images are looked at.
        begun: the network as it began to learn, where that was with weights from elsewhere: by its
            embeddings the labels of train are judged. Those of a network that has learnt for long
            lie where the labels say, right or wrong.

    Raises:
        DataError: the labels are not one class for each image, or no image can be read.
    """
    sampler = _Chosen(_chosen(len(dataset), most))
    loader = DataLoader(dataset, sampler, num_workers=2)
    hashes = _Hashes(len(dataset))
    batches = tqdm(loader.epoch(0), f"looking at {split}", len(loader), leave=False, disable=None)
    found = score(network, loader, World(), True, batches, [hashes])
    if not len(found):
        raise DataError(f"none of the {len(dataset)} images can be read")
    probabilities = found.probabilities
    if split == "train":
        known, mirrored = found.embeddings, None
        if begun is not None:
            known, mirrored = (_embedded(begun, loader, turned) for turned in (False, True))
        probabilities = out_of_sample(known, found.labels, len(found.class_map), mirrored)
    return Judged(split, dataset, found, probabilities, hashes.of[found.indices])


def _embedded(network: Network, loader: DataLoader, mirrored: bool) -> np.ndarray:
    """Return the embeddings of images as they are, or turned left to right."""
    shown = tqdm(loader.epoch(0), "judging labels", len(loader), leave=False, disable=None)
    return score(network, loader, World(), True, _mirrored(shown) if mirrored else shown).embeddings


def _mirrored(batches: Iterable[Batch]) -> Iterator[Batch]:
    for batch in batches:
        yield replace(batch, images=np.ascontiguousarray(batch.images[..., ::-1]))


def train_set(config: Config, class_map: ClassMap) -> Dataset:
    """Return the images of `DataLoader.Train`, prepared as those of evaluation are.

    Raises:
        ConfigError: the configuration has none.
        DataError: the set is missing or malformed.
    """
    section = config.DataLoader.Train
    if section is None:
        raise ConfigError("the configuration has no DataLoader.Train")
    arguments = {**section.dataset.arguments, "transform_ops": eval_ops(config)}
    with config.naming("DataLoader", "Train"):
        built: Dataset = Part("dataset", section.dataset.name, arguments).build(
            class_map=class_map, class_num=None
        )
    return built


def eval_ops(config: Config) -> List[Part]:
    """Return the transforms that `ppcls.engine.trained.eval_transform` chooses."""
    split, own = config.DataLoader.Eval, config.Infer.transforms
    ops: Optional[List[Part]] = split.dataset.arguments["transform_ops"] if split else own
    return list(ops or [])


def _chosen(count: int, most: int) -> np.ndarray:
    """Return all numbers below `count`, or `most` of them, the same ones each time."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


class _Chosen(DistributedBatchSampler):
    """Some images of a set, in ascending order."""

    def __init__(self, indices: np.ndarray) -> None:
        super().__init__(_BATCH, length=len(indices))
        self._indices = indices

    def _order(self, epoch: int) -> np.ndarray:
        return self._indices


class _Hashes:
    """Observes an evaluation, and keeps the hash of each image that goes by."""

    def __init__(self, count: int) -> None:
        self.of = np.zeros((count, 2, 8), np.uint8)

    def __call__(self, batch: Batch, outputs: Outputs) -> None:
        self.of[batch.indices] = hash_images(batch.images)
