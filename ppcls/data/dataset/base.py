"""What every data set has in common."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Sequence

import numpy as np

from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.transforms import Pipeline
from ppcls.labels import LabelKind, Labels


class Dataset(ABC):
    """Encoded images with a label each.

    `read` fetches bytes and `transform` makes an array of them; the loader calls one after the
    other, so a data set needs neither paths nor files.

    Attributes:
        labels: the label of each image, as a NumPy array; their kind is the data set's.
        class_map: the names of the classes.
        transform: what is done to each image.
    """

    def __init__(
        self, names: Sequence[str], labels: Labels, class_map: ClassMap, transform: Pipeline
    ) -> None:
        """Keep what a subclass found out; `names` tell the images apart, wherever the set lies."""
        self._names = names
        self.labels = labels
        self.class_map = class_map
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def label_kind(self) -> LabelKind:
        """How the labels are to be read."""
        return self.labels.kind

    @cached_property
    def fingerprint(self) -> str:
        """A checksum of all names and labels, in their order; every checkpoint asks for it."""
        values = self.labels.values
        little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        digest = hashlib.sha256(little.tobytes())
        for name in self._names:
            digest.update(name.encode("utf-8", errors="surrogateescape") + b"\n")
        return digest.hexdigest()[:16]

    def name(self, index: int) -> str:
        """Return what messages call an image."""
        return self._names[index]

    @abstractmethod
    def read(self, index: int) -> bytes:
        """Return the encoded image, such as the bytes of a JPEG file.

        Raises:
            BadImageError: it cannot be had, for a reason that lies in this image.
            OutageError: none of the images can be had any more.
        """
