"""Building blocks that the families share."""

from __future__ import annotations

from functools import partial
from typing import Callable, Dict, List, Literal, Optional, Sequence, Tuple, Union

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.nn.initializer import Constant, KaimingNormal, Normal

Size = Union[int, Tuple[int, int]]
"""A kernel or padding: one number for both directions, or (vertical, horizontal)."""

Padding = Union[Size, Tuple[int, int, int, int], Literal["same"], None]
"""Four numbers are top, bottom, left, right.

None is half the kernel, which keeps the size at stride 1; "same" is TensorFlow's.

With "same" the output has ceil(size / stride) pixels, and what an odd sum of padding has too much
goes to the right and the bottom.
"""

DropoutMode = Literal["downscale_in_infer", "upscale_in_train"]
"""When dropout rescales: in evaluation by 1 - p, or in training by 1 / (1 - p)."""


class HardSigmoid(nn.Layer):
    """slope * x + 0.5, cut off at 0 and 1. The slope is 1/6, in PaddleClas' networks 0.2."""

    def __init__(self, slope: float = 1 / 6) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return F.hardsigmoid(x, self.slope, 0.5)


class LeakyReLU(nn.Layer):
    """x, and slope * x below 0. Paddle's own layer loses its slope on the way to ONNX."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return paddle.maximum(x, self.slope * x)


_ACTIVATIONS: Dict[str, Callable[[], nn.Layer]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "swish": nn.Swish,
    # The same function by another kernel of Paddle, with other last digits: see EfficientNetV2.
    "silu": nn.Silu,
    "hardswish": nn.Hardswish,
    "hardsigmoid": HardSigmoid,
    "hardsigmoid_0.2": partial(HardSigmoid, 0.2),
    "leaky_relu": partial(LeakyReLU, 0.1),
    "leaky_relu_0.01": partial(LeakyReLU, 0.01),
}


def activation(name: Optional[str]) -> nn.Layer:
    """Return the activation layer called `name`; None is the identity."""
    return nn.Identity() if name is None else _ACTIVATIONS[name]()


def conv2d(
    in_channels: int,
    out_channels: int,
    kernel: Size,
    stride: int = 1,
    padding: Padding = None,
    groups: int = 1,
    dilation: int = 1,
    bias: bool = False,
) -> nn.Conv2D:
    """Return a convolution; its padding follows from kernel and dilation unless it is given."""
    return nn.Conv2D(
        in_channels,
        out_channels,
        kernel,
        stride,
        _padding(kernel, dilation, padding),
        dilation,
        groups,
        bias_attr=None if bias else False,
    )


def _padding(kernel: Size, dilation: int, padding: Padding) -> Union[str, int, List[int]]:
    if padding == "same":
        return "SAME"
    if isinstance(padding, tuple):
        return list(padding)
    if padding is not None:
        return padding
    if isinstance(kernel, int):
        return dilation * (kernel - 1) // 2
    return [dilation * (side - 1) // 2 for side in kernel]


class ConvAct(nn.Layer):
    """Convolution with bias, act."""

    def __init__(  # noqa: PLR0913, the same arguments as a block with batch normalisation
        self,
        in_channels: int,
        out_channels: int,
        kernel: Size,
        stride: int = 1,
        padding: Padding = None,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = True,
        act: Optional[str] = "relu",
    ) -> None:
        super().__init__()
        self.conv = conv2d(
            in_channels, out_channels, kernel, stride, padding, groups, dilation, bias
        )
        self.act = activation(act)

    @classmethod
    def of(cls, conv: nn.Conv2D, act: nn.Layer) -> ConvAct:
        """Return the block of a convolution and an activation that there are already."""
        block = cls.__new__(cls)
        nn.Layer.__init__(block)
        block.conv, block.act = conv, act
        return block

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h', w']."""
        return self.act(self.conv(x))


def conv_with(like: nn.Conv2D, weight: Tensor, bias: Tensor, act: nn.Layer) -> ConvAct:
    """Return a convolution with the stride, padding, dilation and groups of another one.

    Its kernel [out, in / groups, kh, kw] and its bias are the ones given, in the other's precision.
    """
    conv = nn.Conv2D(
        like._in_channels,
        like._out_channels,
        tuple(weight.shape[2:]),
        like._stride,
        like._padding,
        like._dilation,
        like._groups,
        # Drawing weights that are replaced at once takes seconds for a large network.
        weight_attr=Constant(0.0),
        bias_attr=Constant(0.0),
    )
    conv.to(dtype=like.weight.dtype)
    conv.weight.set_value(weight.astype(like.weight.dtype))
    conv.bias.set_value(bias.astype(like.weight.dtype))
    return ConvAct.of(conv, act)


class ConvBNAct(nn.Layer):
    """Convolution, batch normalisation, act.

    The running statistics keep `momentum` of themselves at each step, and `eps` is added to the
    variance. The convolution has no bias, since the normalisation would take it away again, unless
    published weights have one.
    """

    def __init__(  # noqa: PLR0913, one argument for each thing that papers vary
        self,
        in_channels: int,
        out_channels: int,
        kernel: Size,
        stride: int = 1,
        padding: Padding = None,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
        act: Optional[str] = "relu",
        eps: float = 1e-5,
        momentum: float = 0.9,
    ) -> None:
        super().__init__()
        self.conv = conv2d(
            in_channels, out_channels, kernel, stride, padding, groups, dilation, bias
        )
        self.bn = nn.BatchNorm2D(out_channels, momentum=momentum, epsilon=eps)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h', w']."""
        return self.act(self.bn(self.conv(x)))

    def folded(self) -> ConvAct:
        """Return what this computes in evaluation, with the normalisation inside the convolution.

        A subclass whose `forward` does more has to say for itself how it folds.
        """
        conv, bn = self.conv, self.bn
        scale = bn.weight.astype("float64") * (bn._variance.astype("float64") + bn._epsilon) ** -0.5
        bias = 0.0 if conv.bias is None else conv.bias.astype("float64")
        bias = (bias - bn._mean.astype("float64")) * scale + bn.bias.astype("float64")
        weight = conv.weight.astype("float64") * scale.reshape([-1, 1, 1, 1])
        return conv_with(conv, weight, bias, self.act)


class LocalResponseNorm(nn.Layer):
    """x / (2 + 1e-4 * sum of x^2 over five neighbouring channels)^0.75.

    Krizhevsky, Sutskever, Hinton 2012, section 3.3. Paddle's own layer of this name cannot be
    exported to ONNX.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.AvgPool2D((5, 1), stride=1, padding=(2, 0), exclusive=False)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape [n, c, h, w]."""
        _, channels, height, width = x.shape
        squares = (x * x).reshape([-1, 1, channels, height * width])
        means = self.mean(squares).reshape([-1, channels, height, width])
        return x / (2 + 5e-4 * means) ** 0.75


class SqueezeExcitation(nn.Layer):
    """Global average, 1x1 to `squeezed`, act, 1x1 back, gate; times the input.

    Hu, Shen, Sun 2017, "Squeeze-and-Excitation Networks", arXiv:1709.01507.
    """

    def __init__(
        self, channels: int, squeezed: int, act: str = "relu", gate: str = "sigmoid"
    ) -> None:
        super().__init__()
        # Paddle Inference computes `x.mean([2, 3])` without oneDNN, in another layout of the maps.
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.reduce = ConvAct(channels, squeezed, 1, act=act)
        self.expand = ConvAct(squeezed, channels, 1, act=gate)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape [n, channels, h, w]."""
        return x * self.expand(self.reduce(self.pool(x)))


class DropPath(nn.Layer):
    """In training, drop a residual branch for `rate` of the images and scale it for the others.

    Huang et al. 2016, "Deep Networks with Stochastic Depth", arXiv:1603.09382.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape [n, c, h, w]."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        kept = paddle.bernoulli(paddle.full([x.shape[0], 1, 1, 1], keep, dtype="float32"))
        return x * (kept / keep).astype(x.dtype)


class InvertedResidual(nn.Layer):
    """1x1 to `expanded`, BN, act, depthwise, BN, act, (se), 1x1, BN + x where the shape stays.

    Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    arXiv:1801.04381, figure 4d. `conv` makes the layers: `ConvBNAct` with the family's activation.
    The first 1x1 is left out where it widens nothing, unless `always_expand`.
    """

    def __init__(  # noqa: PLR0913, one argument for each thing that families vary
        self,
        in_channels: int,
        expanded: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        conv: Callable[..., nn.Layer] = ConvBNAct,
        se: Optional[nn.Layer] = None,
        always_expand: bool = False,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        widens = always_expand or expanded != in_channels
        self.expand = conv(in_channels, expanded, 1) if widens else nn.Identity()
        self.depthwise = conv(expanded, expanded, kernel, stride, groups=expanded)
        self.se = nn.Identity() if se is None else se
        self.project = conv(expanded, out_channels, 1, act=None)
        self.drop = DropPath(drop_path)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h / stride, w / stride]."""
        y = self.project(self.se(self.depthwise(self.expand(x))))
        return x + self.drop(y) if self.residual else y


def residual_stage(
    block: Callable[..., nn.Layer],
    in_channels: int,
    out_channels: int,
    stride: int,
    rates: Sequence[float],
) -> nn.Sequential:
    """Return one block for each drop-path rate; the first has the stride and changes the width."""
    first = block(in_channels, out_channels, stride=stride, drop_path=rates[0])
    rest = (block(out_channels, out_channels, stride=1, drop_path=rate) for rate in rates[1:])
    return nn.Sequential(first, *rest)


def drop_path_rates(last: float, blocks: int) -> List[float]:
    """Return a rate for each block of a network, from 0 linearly up towards `last`."""
    return [last * index / blocks for index in range(blocks)]


def split_rates(last: float, depths: Sequence[int]) -> List[List[float]]:
    """Return the drop-path rates of each stage's blocks, linear over all blocks of the network."""
    rates = iter(drop_path_rates(last, sum(depths)))
    return [[next(rates) for _ in range(depth)] for depth in depths]


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Deal the channels of [n, c, h, w] out to `groups` again: one of each group after the other.

    Zhang et al. 2017, "ShuffleNet", arXiv:1707.01083, figure 1.
    """
    _, channels, height, width = x.shape
    x = x.reshape([-1, groups, channels // groups, height, width])
    return x.transpose([0, 2, 1, 3, 4]).reshape([-1, channels, height, width])


def make_divisible(value: float, divisor: int = 8) -> int:
    """Round channels to a multiple of `divisor`, at least one, and at most 10 % down."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def average_head(
    channels: int,
    class_num: int,
    dropout: float = 0.0,
    dropout_mode: DropoutMode = "upscale_in_train",
    conv: Optional[nn.Layer] = None,
) -> nn.Sequential:
    """Return the head of most networks: `conv` if any, global average, drop, the layer `fc`."""
    return nn.Sequential(
        *([] if conv is None else [("conv", conv)]),
        ("pool", nn.AdaptiveAvgPool2D(1)),
        ("flatten", nn.Flatten()),
        ("drop", nn.Dropout(dropout, mode=dropout_mode)),
        ("fc", nn.Linear(channels, class_num)),
    )


Initializer = Callable[[Tensor], object]
"""Any of `paddle.nn.initializer`, called with the parameter that it fills."""

_HE_NORMAL, _SMALL = KaimingNormal(), Normal(0.0, 0.01)


def initialise(
    network: nn.Layer, conv: Initializer = _HE_NORMAL, linear: Initializer = _SMALL
) -> None:
    """Fill all weights of convolutions and fully connected layers, and set their biases to zero.

    Convolutions start from He's normal distribution (arXiv:1502.01852) and fully connected layers
    from N(0, 0.01), where a family's paper does not say otherwise. Layers with an attribute
    `starts_at_zero` are left as they are.
    """
    for layer in network.sublayers(include_self=True):
        if isinstance(layer, (nn.Conv2D, nn.Linear)) and not hasattr(layer, "starts_at_zero"):
            fill = conv if isinstance(layer, nn.Conv2D) else linear
            fill(layer.weight)
            if layer.bias is not None:
                Constant(0.0)(layer.bias)


def he_fan_out(weight: Tensor) -> None:
    """Fill a kernel from N(0, 2 / fan out), so that gradients keep their size on the way back.

    He et al. 2015, arXiv:1502.01852, equation 14. A kernel with one input channel counts as
    depthwise: each input reaches one output.
    """
    out_channels, in_channels, height, width = weight.shape
    fan_out = height * width * (out_channels if in_channels > 1 else 1)
    Normal(0.0, (2 / fan_out) ** 0.5)(weight)
