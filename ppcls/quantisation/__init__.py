"""From a bundle in float32 to the same bundle with networks in 8-bit integers (INT8), and what that
costs in accuracy. It needs no training code and no Paddle.

from ppcls.quantisation import Request, quantise_bundle

print(quantise_bundle(Request("bundles/net", "photos", "judged.txt")).summary())
"""

from __future__ import annotations

from ppcls.quantisation.bundle import quantise_bundle
from ppcls.quantisation.request import Request

__all__ = ["Request", "quantise_bundle"]
