"""What a network says of every image of a set: logits with names and labels, in the set's order."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Iterable, Iterator, List, Optional, Sequence

import numpy as np
import paddle

from ppcls.arch.network import Network
from ppcls.data.batch import BadImage, Batch
from ppcls.data.dataset import ClassMap, Dataset
from ppcls.data.loader import DataLoader
from ppcls.engine.evaluator import Observer, evaluate_network
from ppcls.engine.world import World
from ppcls.errors import DataError
from ppcls.labels import LabelKind
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.metric import CombinedMetric


@dataclass(frozen=True, eq=False)
class Scored:
    """The n readable images of a set in its order, and what a network says of each.

    Attributes:
        names: what the data set calls the images.
        paths: where their files are; None for images that are no files.
        indices: int64 [n], their numbers in the set, ascending.
        labels: int64 [n], their classes.
        logits: float32 [n, classes].
        embeddings: float32 [n, width], what the network's last layer works on; width is 0 where
            they were not asked for.
        bad: the images that could not be read.
        class_map: the names of the classes.
    """

    names: List[str]
    paths: List[Optional[str]]
    indices: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    embeddings: np.ndarray
    bad: List[BadImage]
    class_map: ClassMap

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def probabilities(self) -> np.ndarray:
        """The softmax of the logits, float32 [n, classes]; computed anew by each call."""
        return softmax(self.logits)

    def probabilities_of(self, row: int) -> np.ndarray:
        """The softmax of one row's logits, float32 [classes]."""
        return softmax(self.logits[row])

    @property
    def predicted(self) -> np.ndarray:
        """The class with the highest logit, the lower one of equals, int64 [n]."""
        return self.logits.argmax(axis=1)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of the same shape and type, which add up to 1 along the last axis."""
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def score(
    network: Network,
    loader: DataLoader,
    world: World,
    embeddings: bool = False,
    batches: Optional[Iterable[Batch]] = None,
    observers: Sequence[Observer] = (),
) -> Scored:
    """Run the network in evaluation mode over the whole set, once.

    Args:
        network: images -> logits.
        loader: the set; this process takes its share.
        world: the processes that share the set; each gets all of the result.
        embeddings: keep what the last layer works on as well.
        batches: an epoch of the loader, where the caller watches it go by.
        observers: who else gets the batches and the network's outputs.

    Raises:
        DataError: the labels are not one class for each image.
        OutageError: the set cannot be reached any more.
    """
    with ScoreKeeper(loader.dataset, network if embeddings else None) as keeper:
        seen = loader.epoch(0) if batches is None else batches
        nothing = CombinedMetric([])
        found = evaluate_network(network, seen, nothing, None, world, [keeper, *observers])
        return keeper.result(found.bad, world)


class ScoreKeeper:
    """Observes an evaluation and keeps the logits; n images take n x classes floats and no more.

    To keep embeddings it listens to a network while it is entered as a context.

    Raises:
        DataError: the labels are not one class for each image.
    """

    def __init__(self, dataset: Dataset, network: Optional[Network] = None) -> None:
        """Watch over `dataset`, and keep the embeddings of `network`, if one is given."""
        if dataset.label_kind is not LabelKind.HARD:
            raise DataError(
                f"images are scored against one class each, but the labels are {dataset.label_kind}"
            )
        self._dataset, self._network = dataset, network
        self._listening = contextlib.ExitStack()
        self._embedding: Optional[Embedding] = None
        self._logits: Optional[_Rows] = None
        self._embeddings: Optional[_Rows] = None

    def __enter__(self) -> ScoreKeeper:
        if self._network is not None:
            self._embedding = self._listening.enter_context(listening(self._network))
        return self

    def __exit__(self, *details: object) -> None:
        self._listening.close()

    def __call__(self, batch: Batch, outputs: Outputs) -> None:
        """Keep one batch; see `ppcls.engine.evaluator.Observer`."""
        self._logits = self._kept(self._logits, batch.indices, main_logits(outputs))
        if self._embedding is not None:
            self._embeddings = self._kept(self._embeddings, batch.indices, self._embedding.read())

    def result(self, bad: List[BadImage], world: World) -> Scored:
        """Return what all processes have seen, with the images that none could read."""
        logits = _together(self._logits, world)
        embeddings = _together(self._embeddings, world)
        seen = np.zeros(len(self._dataset), bool) if logits is None else logits.seen
        indices, dataset = np.flatnonzero(seen), self._dataset
        path = getattr(dataset, "path", None)
        return Scored(
            names=[dataset.name(index) for index in indices.tolist()],
            paths=[path(index) if path else None for index in indices.tolist()],
            indices=indices,
            labels=dataset.labels.values[indices],
            logits=_compact(logits, len(dataset.class_map)),
            embeddings=_compact(embeddings, 0),
            bad=sorted(bad, key=lambda image: image.index),
            class_map=dataset.class_map,
        )

    def _kept(self, rows: Optional[_Rows], indices: np.ndarray, values: paddle.Tensor) -> _Rows:
        found = values.astype("float32").numpy()
        rows = rows or _Rows(len(self._dataset), found.shape[1])
        rows.values[indices] = found
        rows.seen[indices] = True
        return rows


class _Rows:
    """Room for a row of each image of a set; which ones were filled is in `seen`."""

    def __init__(self, count: int, width: int) -> None:
        self.values = np.empty((count, width), np.float32)
        self.seen = np.zeros(count, bool)


def _together(own: Optional[_Rows], world: World) -> Optional[_Rows]:
    """Return the rows of all processes."""
    all_rows = [rows for rows in world.gather(own) if rows is not None]
    if not all_rows or len(all_rows) == 1:
        return all_rows[0] if all_rows else None
    joined = _Rows(*all_rows[0].values.shape)
    for rows in all_rows:
        joined.values[rows.seen] = rows.values[rows.seen]
        joined.seen |= rows.seen
    return joined


def _compact(rows: Optional[_Rows], width: int) -> np.ndarray:
    """Return the rows that were filled, moved up in place: a copy would take the memory twice."""
    if rows is None:
        return np.empty((0, width), np.float32)
    kept = np.flatnonzero(rows.seen)
    first_gap = len(kept) if rows.seen.all() else int(np.argmin(rows.seen))
    for target in range(first_gap, len(kept)):
        rows.values[target] = rows.values[kept[target]]
    return rows.values[: len(kept)]


class Embedding:
    """What the last layer with weights of a network's head was last given."""

    def __init__(self) -> None:
        self.inputs: Optional[paddle.Tensor] = None

    def read(self) -> paddle.Tensor:
        """Return it as [n, width]; of feature maps the mean over all places."""
        assert self.inputs is not None, "no batch went through the network"
        return self.inputs if self.inputs.ndim == 2 else self.inputs.mean(axis=[2, 3])


@contextlib.contextmanager
def listening(network: Network) -> Iterator[Embedding]:
    """Note, inside the block, what reaches the last layer with weights of the network's head."""
    embedding = Embedding()

    def note(layer: paddle.nn.Layer, inputs: object) -> None:
        embedding.inputs = inputs[0] if isinstance(inputs, tuple) else inputs  # type: ignore[assignment]

    kinds = (paddle.nn.Linear, paddle.nn.Conv2D)
    layers = network.head.sublayers(include_self=True)
    last = [layer for layer in layers if isinstance(layer, kinds)][-1]
    handle = last.register_forward_pre_hook(note)
    try:
        yield embedding
    finally:
        handle.remove()
