"""Re-parameterisation: the same function in evaluation, with fewer layers.

A block that can be written more simply once its training is over says so with a method `folded`:
a convolution takes in the batch normalisation behind it, parallel convolutions add up to one.
`reparameterise` asks every block of a network.
"""

from __future__ import annotations

import copy
from typing import Dict, Protocol, runtime_checkable

import paddle
from paddle import nn


@runtime_checkable
class Foldable(Protocol):
    """A layer that can be replaced by a simpler one that computes the same in evaluation.

    A block whose parallel branches become one also has an attribute `merges_branches`, True.
    """

    def folded(self) -> nn.Layer:
        """Return the simpler layer. What it shares with this one must not be changed."""


def reparameterise(network: nn.Layer, batch_norm: bool = True) -> nn.Layer:
    """Return a copy of `network` for evaluation in which every block is folded.

    Args:
        network: any layer; it is left as it was.
        batch_norm: whether batch normalisations go into the convolutions before them. With False
            only blocks of several branches are folded, which leads from the network that was
            trained to the one that its paper deploys.
    """
    network = copy.deepcopy(network)
    network.eval()
    with paddle.no_grad():
        return _folded(network, batch_norm, {})


def _folded(layer: nn.Layer, batch_norm: bool, done: Dict[int, nn.Layer]) -> nn.Layer:
    """Fold `layer` or its sub-layers; `done` keeps a layer with several parents a single one."""
    if id(layer) not in done:
        if isinstance(layer, Foldable) and (batch_norm or getattr(layer, "merges_branches", False)):
            simple = layer.folded()
            simple.eval()
        else:
            simple = layer
            for name, child in list(layer._sub_layers.items()):
                if child is not None:
                    layer.add_sublayer(name, _folded(child, batch_norm, done))
        done[id(layer)] = simple
    return done[id(layer)]
