"""A network without its head: the feature maps that necks and detectors sit on."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from paddle import Tensor, nn

from ppcls.arch.network import Level, Network
from ppcls.errors import ConfigError


class FeatureExtractor(nn.Layer):
    """The stages of a network up to the last feature map asked for, under their own names.

    Args:
        network: whose stages, with their weights, are taken over.
        out_indices: which of the network's `levels`, counted from the finest; negative ones count
            from the last. None takes all.

    Attributes:
        levels: the stage, channels and stride of each map that `forward` returns.
        channels: the channels of each.
        strides: the stride of each, in pixels of the image.

    Raises:
        ConfigError: an index is out of range or given twice, or the order is not ascending; or the
            network has no levels.
    """

    def __init__(self, network: Network, out_indices: Optional[Sequence[int]] = None) -> None:
        super().__init__()
        self.levels = _chosen(network, out_indices)
        self.model_name = network.model_name
        self.in_channels = network.in_channels
        self.input_size = network.input_size
        self.channels = [level.channels for level in self.levels]
        self.strides = [level.stride for level in self.levels]
        last = network.stages.index(self.levels[-1].stage)
        self.stages = network.stages[: last + 1]
        for name in self.stages:
            self.add_sublayer(name, getattr(network, name))

    def forward(self, images: Tensor) -> List[Tensor]:
        """Turn images [n, in_channels, h, w] into one map [n, channels, h', w'] for each level."""
        wanted = {level.stage for level in self.levels}
        maps = []
        for name in self.stages:
            images = getattr(self, name)(images)
            if name in wanted:
                maps.append(images)
        return maps


def _chosen(network: Network, out_indices: Optional[Sequence[int]]) -> Tuple[Level, ...]:
    if not isinstance(network, Network) or not network.levels:
        name = getattr(network, "model_name", "") or type(network).__name__
        raise ConfigError(
            f"{name} offers no feature maps; a network that does extends "
            "ppcls.arch.network.Network and lists its `stages` and `levels`"
        )
    count = len(network.levels)
    if out_indices is None:
        return network.levels
    if isinstance(out_indices, int) or not all(isinstance(index, int) for index in out_indices):
        raise ConfigError(f"out_indices must be a list of whole numbers, got {out_indices!r}")
    positions = [index + count if index < 0 else index for index in out_indices]
    listed = ", ".join(f"{i}: {level.stage}" for i, level in enumerate(network.levels))
    if not positions or any(not 0 <= position < count for position in positions):
        raise ConfigError(
            f"out_indices of {network.model_name} must name some of its levels ({listed}), "
            f"got {list(out_indices)}"
        )
    if positions != sorted(set(positions)):
        raise ConfigError(
            f"out_indices must ascend, each level once ({listed}), got {list(out_indices)}"
        )
    return tuple(network.levels[position] for position in positions)
