"""A network without its last fully connected layer: the features that classes are told apart by."""

from __future__ import annotations

from typing import List, Optional, Sequence

from paddle import Tensor, nn

from ppcls.arch.network import Network


def last_layer(network: Network) -> Optional[nn.Linear]:
    """Return the fully connected layer that the head ends with; None of heads that end otherwise,
    such as SqueezeNet's.
    """
    head = getattr(network, "head", None)  # a plain layer of one's own has none
    layers = list(head.children()) if isinstance(head, nn.Sequential) else [head]
    last = layers[-1]
    return last if isinstance(last, nn.Linear) else None


class FeatureTap:
    """Holds what went into the last layer of a network in its newest forward pass.

    Args:
        network: the network, which goes on as before.

    Raises:
        ValueError: it does not end with a fully connected layer.
    """

    def __init__(self, network: Network) -> None:
        last = last_layer(network)
        if last is None:
            name = getattr(network, "model_name", type(network).__name__)
            raise ValueError(f"{name} does not end with a fully connected layer")
        self._held: List[Tensor] = []
        last.register_forward_pre_hook(self._hold)

    def _hold(self, layer: nn.Layer, inputs: Sequence[Tensor]) -> None:
        self._held[:] = inputs[:1]

    def take(self) -> Tensor:
        """Return the features [n, size], and let go of them."""
        return self._held.pop()


class PooledFeatures(nn.Layer):
    """What goes into the last layer of a network, whose weights it shares.

    Args:
        network: with a `last_layer`.

    Attributes:
        size: the number of features.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        last = last_layer(network)
        if last is None:
            raise ValueError(f"{network.model_name} does not end with a fully connected layer")
        self.size = int(last.weight.shape[0])
        self.stages = network.stages
        for name in self.stages:
            self.add_sublayer(name, getattr(network, name))
        head = network.head
        before = list(head.children())[:-1] if isinstance(head, nn.Sequential) else []
        self.penultimate = nn.Sequential(*before)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images [n, channels, h, w] into features [n, size]."""
        for name in self.stages:
            images = getattr(self, name)(images)
        return self.penultimate(images)
