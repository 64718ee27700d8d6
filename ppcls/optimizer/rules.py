"""Update rules that Paddle does not have, as optimisers of Paddle."""

from __future__ import annotations

from math import prod
from typing import Any, Callable, Collection, Dict, List, Sequence, Tuple

import paddle
from paddle import Tensor

Names = Callable[[str], bool]

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x^3 and x^5 by which five steps bring singular values to 0.7 ... 1.2."""

_STEPS = 5
_TINY = 1e-7


def all_but(parameters: Sequence[Tensor]) -> Names:
    """Return whether a name is none of theirs, as a function."""
    without = frozenset(one.name for one in parameters)
    return lambda name: name not in without


class Lion(paddle.optimizer.Optimizer):
    """The sign of a moving average, see `ppcls.optimizer.algorithms.Lion`.

    Args:
        beta1: how much of the average stays in what is stepped by.
        beta2: how much of it stays.
        coefficient: of the decay.
        decays: whether the parameter of this name decays.
        multi_precision: keep a float32 copy of half-precision parameters.
        common: what all optimisers of Paddle take.
    """

    def __init__(
        self,
        beta1: float,
        beta2: float,
        coefficient: float,
        decays: Names,
        multi_precision: bool,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self._betas, self._coefficient, self._decays = (beta1, beta2), coefficient, decays
        self._multi_precision = multi_precision
        self._master_weights: Dict[str, Tensor] = {}

    def _create_accumulators(self, block: Any, parameters: Sequence[Tensor]) -> None:
        create_momentum(self, parameters)

    def _append_optimize_op(self, block: Any, param_and_grad: Tuple[Tensor, Tensor]) -> None:
        parameter, gradient = param_and_grad
        weight, momentum = stored(self, parameter)
        gradient, rate = gradient.astype(weight.dtype), self._create_param_lr(param_and_grad)
        beta1, beta2 = self._betas
        step = paddle.sign(beta1 * momentum + (1 - beta1) * gradient)
        if self._decays(parameter.name):
            step = step + self._coefficient * weight
        store(parameter, weight, weight - rate * step)
        paddle.assign(beta2 * momentum + (1 - beta2) * gradient, momentum)


class Muon(paddle.optimizer.AdamW):
    """Orthogonal steps for matrices, AdamW for the rest, see `ppcls.optimizer.algorithms.Muon`.

    Args:
        matrices: names of the parameters that are matrices.
        momentum: how much of the velocity stays.
        coefficient: of the decay.
        decays: whether the parameter of this name decays.
        common: what `paddle.optimizer.AdamW` takes.
    """

    def __init__(
        self,
        matrices: Collection[str],
        momentum: float,
        coefficient: float,
        decays: Names,
        **common: Any,
    ) -> None:
        super().__init__(weight_decay=coefficient, apply_decay_param_fun=decays, **common)
        self._matrices, self._momentum = frozenset(matrices), momentum
        self._of_matrices, self._decays = coefficient, decays

    def _create_accumulators(self, block: Any, parameters: Sequence[Tensor]) -> None:
        others = [one for one in parameters if one.name not in self._matrices]
        super()._create_accumulators(block, others)
        create_momentum(self, [one for one in parameters if one.name in self._matrices])

    def _append_optimize_op(self, block: Any, param_and_grad: Tuple[Tensor, Tensor]) -> Any:
        parameter, gradient = param_and_grad
        if parameter.name not in self._matrices:
            return super()._append_optimize_op(block, param_and_grad)
        weight, velocity = stored(self, parameter)
        gradient, rate = gradient.astype(weight.dtype), self._create_param_lr(param_and_grad)
        paddle.assign(self._momentum * velocity + gradient, velocity)
        ahead = gradient + self._momentum * velocity
        rows, columns = weight.shape[0], prod(weight.shape[1:])
        step = orthogonal(ahead.reshape([rows, columns])).reshape(weight.shape)
        kept = 1 - rate * self._of_matrices if self._decays(parameter.name) else 1.0
        size = 0.2 * max(rows, columns) ** 0.5
        return store(parameter, weight, kept * weight - rate * size * step)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about U V^T of a matrix U S V^T, [m, n], without its singular values (0.7 to 1.2 are
    left of those that are not tiny).

    Jordan 2024, "Muon", https://kellerjordan.github.io/posts/muon/: a polynomial of fifth degree,
    five times.
    """
    first, third, fifth = _NEWTON_SCHULZ
    x = matrix / (matrix.norm() + _TINY)
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    for _ in range(_STEPS):
        square = x @ x.t()
        x = first * x + (third * square + fifth * square @ square) @ x
    return x.t() if tall else x


def create_momentum(rule: Any, parameters: Sequence[Tensor]) -> None:
    """Create the accumulator "momentum" of parameters that have none, and float32 copies."""
    for parameter in parameters:
        half = rule._multi_precision and parameter.dtype in (paddle.float16, paddle.bfloat16)
        owner = rule._create_master_weight(parameter) if half else parameter
        if owner.name not in rule._accumulators["momentum"]:
            rule._add_accumulator("momentum", owner)


def stored(rule: Any, parameter: Tensor) -> Tuple[Tensor, Tensor]:
    """Return what is updated, the parameter or its float32 copy, and its momentum."""
    weight = rule._master_weights.get(parameter.name, parameter)
    return weight, rule._get_accumulator("momentum", weight)


def store(parameter: Tensor, weight: Tensor, value: Tensor) -> None:
    """Give a parameter, and its float32 copy where `weight` is one, a new value."""
    paddle.assign(value, weight)
    if weight is not parameter:
        paddle.assign(value.astype(parameter.dtype), parameter)


class AdaptiveClip(paddle.nn.clip.ClipGradBase):
    """Limits the gradient of each unit to a fraction of the norm of the unit's weights.

    Brock, De, Smith, Simonyan 2021, "High-Performance Large-Scale Image Recognition Without
    Normalization", arXiv:2102.06171, section 4. A unit is an output channel; of vectors it is all
    of them.

    Args:
        fraction: the limit is this times the norm of the weights, or times 0.001 if that is more.
        exempt: names of the parameters that are not limited.
    """

    SMALLEST = 1e-3

    def __init__(self, fraction: float, exempt: Collection[str]) -> None:
        super().__init__()
        self.fraction = fraction
        self.exempt = frozenset(exempt)

    def __str__(self) -> str:
        return f"gradients of units at most {self.fraction} of their weights"

    @paddle.no_grad()
    def _dygraph_clip(self, params_grads: List[Tuple[Tensor, Tensor]]) -> List[Any]:
        return [
            (one, gradient if one.name in self.exempt else self._limited(one, gradient))
            for one, gradient in params_grads
            if gradient is not None
        ]

    def _limited(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        axes = unit_axes(parameter)
        weights, slopes = (
            (one.astype("float32") ** 2).sum(axes, keepdim=True).sqrt()
            for one in (parameter, gradient)
        )
        limit = self.fraction * weights.clip(min=self.SMALLEST)
        scale = (limit / slopes.clip(min=1e-6)).clip(max=1.0)
        return gradient * scale.astype(gradient.dtype)


def unit_axes(parameter: Tensor) -> List[int]:
    """Return the axes over which the weights of one output lie: Paddle's `Linear` has [in, out],
    convolutions [out, in, height, width].
    """
    dimensions = len(parameter.shape)
    return [0] if dimensions < 3 else list(range(1, dimensions))
