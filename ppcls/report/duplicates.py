"""Images that show the same: nearly equal pictures, for the eye and for the network."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Tuple

import cv2
import numpy as np

MOST_BITS = 6
"""In how many of its 64 bits the hash of a copy may differ: other sizes, other compression."""

LEAST_COSINE = 0.6
"""How alike copies are to the network at least, as the cosine of their embeddings. A small photo
that was made smaller and compressed again had 0.75; one pair in a thousand of different ones 0.7.
"""

_BLOCK = 1024


class Duplicate(NamedTuple):
    """Two images that show the same.

    Attributes:
        first: the row of the one.
        second: the row of the other, a higher one.
        cosine: of their embeddings.
        bits: in how many of 64 bits their hashes differ.
        mirrored: whether one is the other's mirror image.
    """

    first: int
    second: int
    cosine: float
    bits: int
    mirrored: bool


def difference_hash(picture: np.ndarray) -> np.ndarray:
    """Return the difference hash of a picture, 8 bytes: whether each of 8 x 8 cells is darker than
    its right neighbour (dHash, Krawetz, "Kind of Like That", 2013).

    Args:
        picture: float32 [height, width]; only the order of its levels counts.
    """
    small = cv2.resize(picture, (9, 8), interpolation=cv2.INTER_AREA)
    return np.packbits(small[:, 1:] > small[:, :-1])


def hash_images(images: np.ndarray) -> np.ndarray:
    """Return the hash of each image and of its mirror image, uint8 [n, 2, 8].

    Args:
        images: [n, channels, height, width], scaled in any way.
    """
    grey = images.astype(np.float32, copy=False).mean(axis=1)
    pairs = [[difference_hash(one), difference_hash(one[:, ::-1].copy())] for one in grey]
    return np.array(pairs, np.uint8).reshape(len(images), 2, 8)


def find_duplicates(embeddings: np.ndarray, hashes: np.ndarray) -> List[Duplicate]:
    """Return pairs of images that look alike and are alike to the network, the most alike first.

    The hash alone takes plain pictures for each other, and the network alone those of a class.

    Args:
        embeddings: float32 [n, width].
        hashes: of `hash_images`, uint8 [n, 2, 8].
    """
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions = embeddings / np.maximum(norms, 1e-12)
    found = [pair for block in _alike(directions) for pair in _copies(*block, hashes)]
    return sorted(found, key=lambda pair: (pair.bits, -pair.cosine))


def _alike(directions: np.ndarray) -> Iterator[Tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield rows, columns (higher ones) and cosines of pairs that are alike, block by block."""
    for start in range(0, len(directions), _BLOCK):
        rows = directions[start : start + _BLOCK]
        for other in range(start, len(directions), _BLOCK):
            cosines = rows @ directions[other : other + _BLOCK].T
            i, j = np.nonzero(cosines >= LEAST_COSINE)
            above = start + i < other + j
            i, j = i[above], j[above]
            yield start + i, other + j, cosines[i, j]


def _copies(
    first: np.ndarray, second: np.ndarray, cosines: np.ndarray, hashes: np.ndarray
) -> Iterator[Duplicate]:
    """Yield those of the pairs whose hashes agree, upright or mirrored."""
    plain = _bits(hashes[first, 0], hashes[second, 0])
    turned = _bits(hashes[first, 0], hashes[second, 1])
    best = np.minimum(plain, turned)
    for k in np.flatnonzero(best <= MOST_BITS).tolist():
        yield Duplicate(
            int(first[k]),
            int(second[k]),
            float(cosines[k]),
            int(best[k]),
            bool(turned[k] < plain[k]),
        )


def _bits(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the number of bits that differ, of hashes uint8 [n, 8]."""
    return np.unpackbits(one ^ other, axis=1).sum(axis=1)
