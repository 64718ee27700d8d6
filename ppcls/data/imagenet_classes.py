"""What the classes of ImageNet-1k are called."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ppcls.data.dataset import ClassMap

CLASSES = Path(__file__).with_suffix(".txt")
"""Lines of ``number name``: the first word of each WordNet synset, in the order of the synsets."""


@cache
def imagenet_classes() -> ClassMap:
    """Return the 1,000 classes of ImageNet-1k, as all networks trained on it number them."""
    return ClassMap.from_label_file(CLASSES)
