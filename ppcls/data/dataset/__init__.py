"""Data sets: which image files there are, and the class of each.

A data set is registered under the kind ``dataset``. Adding a format takes one class in one module
of this package.
"""

from __future__ import annotations

from ppcls.data.dataset.base import Dataset
from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.dataset.folder import ImageFolder
from ppcls.data.dataset.imagenet import ImageNetDataset
from ppcls.data.dataset.multi_label import MultiLabelDataset

__all__ = ["ClassMap", "Dataset", "ImageFolder", "ImageNetDataset", "MultiLabelDataset"]
