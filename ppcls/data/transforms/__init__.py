"""Transforms of one image, and the pipeline that runs a list of them.

An op is registered under the kind ``transform`` and called as ``op(image, rng)``, where `image` is
an array of height x width x channels (uint8, RGB or grey) and `rng` the sample's own generator.
Adding an op takes one class in one module of this package.
"""

from __future__ import annotations

from ppcls.data.transforms.base import Shape, Transform
from ppcls.data.transforms.pipeline import Pipeline

__all__ = ["Pipeline", "Shape", "Transform"]
