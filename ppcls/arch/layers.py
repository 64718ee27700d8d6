"""Building blocks that the families share."""

from __future__ import annotations

from typing import Callable, Optional

from paddle import Tensor, nn

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def activation(name: Optional[str]) -> nn.Layer:
    """Return the activation layer called `name`; None is the identity."""
    return nn.Identity() if name is None else _ACTIVATIONS[name]()


class ConvAct(nn.Layer):
    """Convolution with bias, act. `padding` None keeps the size at stride 1 (half the kernel)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        padding: Optional[int] = None,
        bias: bool = True,
        act: Optional[str] = "relu",
    ) -> None:
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2D(
            in_channels, out_channels, kernel, stride, padding, bias_attr=None if bias else False
        )
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h', w']."""
        return self.act(self.conv(x))


class ConvBNAct(nn.Layer):
    """Convolution without bias, batch normalisation, act. Padding is half the kernel.

    The running statistics keep 0.9 of themselves at each step, and 1e-5 is added to the variance.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        act: Optional[str] = "relu",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2D(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias_attr=False
        )
        self.bn = nn.BatchNorm2D(out_channels, momentum=0.9, epsilon=1e-5)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h', w']."""
        return self.act(self.bn(self.conv(x)))


Initializer = Callable[[Tensor], object]
"""Any of `paddle.nn.initializer`, called with the parameter that it fills."""


def initialise(network: nn.Layer, conv: Initializer, linear: Initializer) -> None:
    """Fill all weights of convolutions and fully connected layers, and set their biases to zero."""
    for layer in network.sublayers(include_self=True):
        if isinstance(layer, (nn.Conv2D, nn.Linear)):
            fill = conv if isinstance(layer, nn.Conv2D) else linear
            fill(layer.weight)
            if layer.bias is not None:
                nn.initializer.Constant(0.0)(layer.bias)
