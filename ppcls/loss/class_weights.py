"""How much each class counts in a loss: for sets in which some classes have few images."""

from __future__ import annotations

from typing import Annotated, Dict, List, Literal, NamedTuple, Sequence, Union

import numpy as np
from pydantic import Field

from ppcls.errors import ConfigError, did_you_mean
from ppcls.labels import LabelKind, Labels
from ppcls.text import first_few

Weight = Annotated[float, Field(gt=0)]
ClassWeights = Union[Literal["auto"], Dict[Union[str, int], Weight], List[Weight]]
"""``auto``, ``{cat: 2.0, dog: 0.5}``, or a number for each class in their order."""

_SHOWN = 10


class TrainClasses(NamedTuple):
    """The classes of a training set: their names, how many images each has, and how many images
    there are, which may have several classes or none.
    """

    names: Sequence[str]
    counts: np.ndarray
    images: int

    @classmethod
    def of(cls, names: Sequence[str], labels: Labels) -> TrainClasses:
        """Count the images of each class; those with soft labels count in their shares."""
        if labels.kind is LabelKind.HARD:
            return cls(names, np.bincount(labels.values, minlength=len(names)), len(labels))
        return cls(names, labels.values.sum(axis=0, dtype=np.float64), len(labels))


def class_weights_of(wanted: ClassWeights, classes: TrainClasses) -> np.ndarray:
    """Return the weight of each class, float64 [classes].

    ``auto`` is images / (classes * images of the class), where classes without an image do not
    count and weigh 1 (scikit-learn's "balanced"; King and Zeng 2001): the mean over all images is
    1. Classes that a mapping leaves out weigh 1.

    Raises:
        ConfigError: a name is no class, or the length of a list is not the number of classes.
    """
    if isinstance(wanted, dict):
        given = {str(name): weight for name, weight in wanted.items()}
        _refuse_unknown(given, classes.names)
        return np.array([given.get(name, 1.0) for name in classes.names])
    if isinstance(wanted, list):
        if len(wanted) != len(classes.names):
            raise ConfigError(
                f"class_weights has {len(wanted)} numbers for {len(classes.names)} classes: "
                f"{first_few(classes.names)}; give one for each, in this order"
            )
        return np.array(wanted)
    counts = np.asarray(classes.counts, dtype=np.float64)
    fair = counts.sum() / np.count_nonzero(counts)
    return np.divide(fair, counts, out=np.ones_like(counts), where=counts > 0)


def _refuse_unknown(given: Dict[str, float], names: Sequence[str]) -> None:
    known = set(names)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ConfigError(
            f"class_weights: there is no class '{unknown[0]}'.{did_you_mean(unknown[0], names)} "
            f"The {len(names)} classes: {first_few(names)}"
        )


def describe_class_weights(weights: np.ndarray, classes: TrainClasses) -> str:
    """Return a line with the weight and the count of each class, of many the extreme ones."""
    order = list(range(len(weights)))
    if len(order) > _SHOWN:
        order.sort(key=lambda i: -weights[i])
        order = [*order[: _SHOWN // 2], *order[-_SHOWN // 2 :]]
    shown = [f"{classes.names[i]} {weights[i]:.3g} ({classes.counts[i]:g} images)" for i in order]
    if len(order) < len(weights):
        shown.insert(_SHOWN // 2, "...")
    return f"weights of the classes: {', '.join(shown)}"
