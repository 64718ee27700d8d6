"""Folders and files of one's own images, in any of the layouts that people keep them in."""

from __future__ import annotations

from ppcls.data.layouts.own_images import OwnImages, OwnSplit
from ppcls.data.layouts.recognition import recognise

__all__ = ["OwnImages", "OwnSplit", "recognise"]
