"""The feature pyramid network.

Lin, Dollár, Girshick, He, Hariharan, Belongie 2016, "Feature Pyramid Networks for Object
Detection", arXiv:1612.03144.
"""

from __future__ import annotations

from typing import Annotated, List, Sequence

from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.nn.initializer import XavierUniform
from pydantic import Field

from ppcls.arch.layers import conv2d, initialise
from ppcls.arch.network import Count
from ppcls.errors import ConfigError
from ppcls.registry import register


@register("neck")
class FPN(nn.Layer):
    """Lateral 1x1 + the next coarser sum, enlarged to its size by nearest neighbours; then 3x3.

    All convolutions have a bias, and no normalisation or activation follows. Where two neighbouring
    maps have the same size already, as in the last stages of DetNet, nothing is enlarged; where a
    map is not exactly twice as large, because the image's side is odd, the coarser one still gets
    its size. Weights start from Glorot's uniform distribution; the paper does not say.

    Args:
        in_channels: the channels of each map, from the finest to the coarsest, such as
            `FeatureExtractor.channels`.
        out_channels: the channels of every map that is returned.

    Attributes:
        channels: the channels of each map that is returned.
    """

    def __init__(
        self,
        in_channels: Annotated[List[Count], Field(min_length=1)],
        out_channels: Count = 256,
    ) -> None:
        super().__init__()
        self.channels = [out_channels for _ in in_channels]
        self.lateral = nn.LayerList([conv2d(c, out_channels, 1, bias=True) for c in in_channels])
        self.output = nn.LayerList(
            [conv2d(out_channels, out_channels, 3, bias=True) for _ in in_channels]
        )
        initialise(self, conv=XavierUniform(), linear=XavierUniform())

    def forward(self, maps: Sequence[Tensor]) -> List[Tensor]:
        """Turn maps [n, in_channels[i], h_i, w_i] into as many [n, out_channels, h_i, w_i].

        Raises:
            ConfigError: there are more or fewer maps than `in_channels` has numbers.
        """
        if len(maps) != len(self.channels):
            raise ConfigError(
                f"FPN was built for {len(self.channels)} maps, one for each number of its "
                f"in_channels, but got {len(maps)}; build it from the backbone's 'channels'"
            )
        laterals = [conv(x) for conv, x in zip(self.lateral, maps)]
        merged = laterals[-1:]
        for finer in reversed(laterals[:-1]):
            merged.insert(0, finer + _enlarged(merged[0], finer))
        return [conv(x) for conv, x in zip(self.output, merged)]


def _enlarged(coarse: Tensor, finer: Tensor) -> Tensor:
    size = finer.shape[2:]
    return coarse if coarse.shape[2:] == size else F.interpolate(coarse, size, mode="nearest")
