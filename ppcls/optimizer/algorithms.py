"""The update rules, with PaddleClas 2.x's arguments and defaults; Paddle does the work.

Arguments that all of them take:

- lr: a schedule such as ``{name: Cosine, learning_rate: 0.1}``, or one number for a constant rate
- weight_decay or regularizer: a penalty in the gradient; weight_decay is the coefficient of L2
- one_dim_param_no_weight_decay: leave biases and the parameters of normalisation out of the decay
- no_weight_decay_name: leave out parameters whose name contains one of these texts (a list, or
  one text with spaces between them)
- clip_norm, clip_norm_global or clip_value: limits for the gradients, before the penalty is added:
  of the Euclidean norm of each parameter's gradient on its own, of all together, of each element
- clip_adaptive: limits the gradient of each output channel to this fraction of the norm of its
  weights; the last layer is left out
- layer_decay: the rate of each stage is that of the stage behind it times this, and the head has
  the whole rate; for weights that are trained already, whose first stages need the least change
- multi_precision: keep a float32 copy of half-precision parameters

The program supplies `model`, `epochs` and `steps_per_epoch`. In the formulas g is the gradient
after clipping and decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Dict, List, Optional, Union

import paddle
from pydantic import BeforeValidator, Field

from ppcls.optimizer import rules
from ppcls.optimizer.core import Optimizer, classifying_parameters
from ppcls.optimizer.schedule import Factor, Rate
from ppcls.registry import Part, PartOf, Provided, register


def _named_schedule(value: Any) -> Any:
    """Read a bare number, or a rate without a schedule's name, as a constant rate."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"name": "Constant", "learning_rate": value}
    if isinstance(value, dict) and "learning_rate" in value and "name" not in value:
        return {"name": "Constant", **value}
    return value


Lr = Annotated[Part, PartOf("schedule"), BeforeValidator(_named_schedule)]
Penalty = Annotated[Part, PartOf("regularizer")]
Names = Union[str, List[str]]

Fraction = Annotated[float, Field(ge=0, lt=1)]
"""How much of a running mean stays at each step."""

LayerDecay = Annotated[float, Field(gt=0, le=1)]
"""The rate of a stage, divided by that of the stage after it."""

Small = Annotated[float, Field(ge=0)]
"""What keeps a divisor from 0: finite and not negative."""


@register("optimizer")
@dataclass(eq=False)
class SGD(Optimizer):
    """Plain gradient descent: p -= lr g."""

    lr: Lr
    weight_decay: Optional[Rate] = None
    regularizer: Optional[Penalty] = None
    one_dim_param_no_weight_decay: bool = False
    no_weight_decay_name: Optional[Names] = None
    clip_norm: Optional[Factor] = None
    clip_norm_global: Optional[Factor] = None
    clip_value: Optional[Factor] = None
    clip_adaptive: Optional[Factor] = None
    layer_decay: LayerDecay = 1.0
    multi_precision: bool = False
    model: Provided[Any] = None
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _rule(self, **common: Any) -> paddle.optimizer.Optimizer:
        return paddle.optimizer.SGD(multi_precision=self.multi_precision, **common)


@register("optimizer")
@dataclass(eq=False)
class Momentum(Optimizer):
    """Gradient descent with velocity: v = momentum v + g; p -= lr v; Nesterov: lr (g + momentum v).

    The rate stands outside the velocity, as in PyTorch: a change of the rate acts at once.
    """

    lr: Lr
    momentum: Fraction = 0.9
    use_nesterov: bool = False
    weight_decay: Optional[Rate] = None
    regularizer: Optional[Penalty] = None
    one_dim_param_no_weight_decay: bool = False
    no_weight_decay_name: Optional[Names] = None
    clip_norm: Optional[Factor] = None
    clip_norm_global: Optional[Factor] = None
    clip_value: Optional[Factor] = None
    clip_adaptive: Optional[Factor] = None
    layer_decay: LayerDecay = 1.0
    multi_precision: bool = True
    model: Provided[Any] = None
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _rule(self, **common: Any) -> paddle.optimizer.Optimizer:
        return paddle.optimizer.Momentum(
            momentum=self.momentum,
            use_nesterov=self.use_nesterov,
            multi_precision=self.multi_precision,
            **common,
        )


@register("optimizer")
@dataclass(eq=False)
class Adam(Optimizer):
    """Kingma and Ba, "Adam", 2015, with their efficient order of computation.

    m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; with c = sqrt(1 - beta2^t):
    p -= lr c / (1 - beta1^t) m / (sqrt(v) + epsilon c). That is lr m' / (sqrt(v') + epsilon) with
    the bias-corrected m' = m / (1 - beta1^t) and v' = v / (1 - beta2^t).

    `lazy_mode` concerns sparse gradients only. Decay enters the gradient, hence m and v; `AdamW`
    keeps it apart.
    """

    lr: Lr
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: Small = 1e-8
    lazy_mode: bool = False
    weight_decay: Optional[Rate] = None
    regularizer: Optional[Penalty] = None
    one_dim_param_no_weight_decay: bool = False
    no_weight_decay_name: Optional[Names] = None
    clip_norm: Optional[Factor] = None
    clip_norm_global: Optional[Factor] = None
    clip_value: Optional[Factor] = None
    clip_adaptive: Optional[Factor] = None
    layer_decay: LayerDecay = 1.0
    multi_precision: bool = False
    model: Provided[Any] = None
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _rule(self, **common: Any) -> paddle.optimizer.Optimizer:
        return paddle.optimizer.Adam(
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            lazy_mode=self.lazy_mode,
            multi_precision=self.multi_precision,
            **common,
        )


@register("optimizer")
@dataclass(eq=False)
class AdamW(Optimizer):
    """Adam with decay apart from the gradient: p *= 1 - lr weight_decay, then the step of `Adam`.

    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019. Decay is the rule's own
    here, so there is no `regularizer`. Its default is Paddle's (PaddleClas has none and stops).
    """

    decay_in_gradient = False

    lr: Lr
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: Small = 1e-8
    weight_decay: Rate = 0.01
    one_dim_param_no_weight_decay: bool = False
    no_weight_decay_name: Optional[Names] = None
    clip_norm: Optional[Factor] = None
    clip_norm_global: Optional[Factor] = None
    clip_value: Optional[Factor] = None
    clip_adaptive: Optional[Factor] = None
    layer_decay: LayerDecay = 1.0
    multi_precision: bool = False
    model: Provided[Any] = None
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _rule(self, **common: Any) -> paddle.optimizer.Optimizer:
        return paddle.optimizer.AdamW(
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            multi_precision=self.multi_precision,
            **common,
        )

    def _decay_arguments(self, penalty: Any, exempt: List[paddle.Tensor]) -> Dict[str, Any]:
        return {
            "weight_decay": self.weight_decay,
            "apply_decay_param_fun": rules.all_but(exempt),
        }


@register("optimizer")
@dataclass(eq=False)
class Lamb(Optimizer):
    """For large batches: r = m' / (sqrt(v') + epsilon) + weight_decay p; p -= lr |p| / |r| r.

    m' and v' are those of `Adam`, and |p| / |r| is the ratio of the norms of each parameter on its
    own (1 where one of them is 0). You et al., "Large batch optimization for deep learning", 2020,
    arXiv:1904.00962. Decay is the rule's own here, so there is no `regularizer`. Parameters without
    decay are not scaled by the ratio either, as in the paper's code, unless `always_adapt` says so.
    """

    decay_in_gradient = False

    lr: Lr
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: Small = 1e-6
    weight_decay: Rate = 0.01
    always_adapt: bool = False
    one_dim_param_no_weight_decay: bool = False
    no_weight_decay_name: Optional[Names] = None
    clip_norm: Optional[Factor] = None
    clip_norm_global: Optional[Factor] = None
    clip_value: Optional[Factor] = None
    clip_adaptive: Optional[Factor] = None
    layer_decay: LayerDecay = 1.0
    multi_precision: bool = False
    model: Provided[Any] = None
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _rule(self, **common: Any) -> paddle.optimizer.Optimizer:
        return paddle.optimizer.Lamb(
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            multi_precision=self.multi_precision,
            always_adapt=self.always_adapt,
            **common,
        )

    def _decay_arguments(self, penalty: Any, exempt: List[paddle.Tensor]) -> Dict[str, Any]:
        without = {parameter.name for parameter in exempt}
        return {
            "lamb_weight_decay": self.weight_decay,
            "exclude_from_weight_decay_fn": lambda parameter: parameter.name in without,
        }


@register("optimizer")
@dataclass(eq=False)
class Lion(Optimizer):
    """Chen et al., "Symbolic discovery of optimization algorithms", 2023, arXiv:2302.06675.

    p -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay p); m = beta2 m + (1 - beta2) g. Steps are
    of the same size everywhere, so the rate is 3 to 10 times smaller than that of `AdamW`, and the
    decay as much larger. Decay is the rule's own here, so there is no `regularizer`.
    """

    decay_in_gradient = False

    lr: Lr
    beta1: Fraction = 0.9
    beta2: Fraction = 0.99
    weight_decay: Rate = 0.0
    one_dim_param_no_weight_decay: bool = False
    no_weight_decay_name: Optional[Names] = None
    clip_norm: Optional[Factor] = None
    clip_norm_global: Optional[Factor] = None
    clip_value: Optional[Factor] = None
    clip_adaptive: Optional[Factor] = None
    layer_decay: LayerDecay = 1.0
    multi_precision: bool = False
    model: Provided[Any] = None
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _rule(self, **common: Any) -> paddle.optimizer.Optimizer:
        return rules.Lion(self.beta1, self.beta2, multi_precision=self.multi_precision, **common)

    def _decay_arguments(self, penalty: Any, exempt: List[paddle.Tensor]) -> Dict[str, Any]:
        return {"coefficient": self.weight_decay, "decays": rules.all_but(exempt)}


@register("optimizer")
@dataclass(eq=False)
class Muon(Optimizer):
    """v = momentum v + g; p *= 1 - lr weight_decay; p -= 0.2 lr sqrt(max(m, n)) U V^T, where
    U S V^T is g + momentum v as a matrix, [m, n].

    So for the weights of linear layers and of convolutions, which have an output channel in each
    row; vectors, convolutions in groups, whose rows belong to different inputs, and the last layer
    take the step of `AdamW`. Jordan
    2024, "Muon"; the factor, by which one rate suits both rules, is that of Liu et al. 2025, "Muon
    is scalable for LLM training", arXiv:2502.16982. U V^T is found by five steps of a
    Newton-Schulz iteration, so it is one only roughly. Decay is the rule's own here, so there is
    no `regularizer`.
    """

    decay_in_gradient = False

    lr: Lr
    momentum: Fraction = 0.95
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: Small = 1e-8
    weight_decay: Rate = 0.01
    one_dim_param_no_weight_decay: bool = False
    no_weight_decay_name: Optional[Names] = None
    clip_norm: Optional[Factor] = None
    clip_norm_global: Optional[Factor] = None
    clip_value: Optional[Factor] = None
    clip_adaptive: Optional[Factor] = None
    layer_decay: LayerDecay = 1.0
    multi_precision: bool = False
    model: Provided[Any] = None
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _rule(self, **common: Any) -> paddle.optimizer.Optimizer:
        return rules.Muon(
            matrices=[one.name for one in matrices(self.model)],
            momentum=self.momentum,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            multi_precision=self.multi_precision,
            **common,
        )

    def _decay_arguments(self, penalty: Any, exempt: List[paddle.Tensor]) -> Dict[str, Any]:
        return {"coefficient": self.weight_decay, "decays": rules.all_but(exempt)}


def matrices(model: paddle.nn.Layer) -> List[paddle.Tensor]:
    """Return the parameters of a network that `Muon` takes for matrices."""
    head = {id(one) for one in classifying_parameters(model)}
    layers = [
        layer
        for layer in model.sublayers(include_self=True)
        if isinstance(layer, paddle.nn.Linear)
        or (isinstance(layer, paddle.nn.Conv2D) and layer._groups == 1)
    ]
    return [layer.weight for layer in layers if id(layer.weight) not in head]


@register("optimizer")
@dataclass(eq=False)
class RMSProp(Optimizer):
    """Hinton's unpublished rule, scaling each gradient by the root of its mean square.

    s = rho s + (1 - rho) g^2; v = momentum v + lr g / sqrt(s + epsilon); p -= v. `centered` takes
    the square of the mean gradient off s under the root. Recipes depend on three details:

    - epsilon stands inside the root, as in TensorFlow 1's `tf.train.RMSPropOptimizer`. PyTorch's
      `RMSprop` adds it to the root, where the same number acts differently: 1e-3 inside bounds
      the divisor from below like 0.03 outside.
    - the rate is part of the velocity, as in TensorFlow; PyTorch multiplies when it applies it.
    - s begins at 0, as in PyTorch; TensorFlow 1 begins at 1.
    """

    lr: Lr
    momentum: Fraction = 0.0
    rho: Fraction = 0.95
    epsilon: Small = 1e-6
    centered: bool = False
    weight_decay: Optional[Rate] = None
    regularizer: Optional[Penalty] = None
    one_dim_param_no_weight_decay: bool = False
    no_weight_decay_name: Optional[Names] = None
    clip_norm: Optional[Factor] = None
    clip_norm_global: Optional[Factor] = None
    clip_value: Optional[Factor] = None
    clip_adaptive: Optional[Factor] = None
    layer_decay: LayerDecay = 1.0
    multi_precision: bool = False
    model: Provided[Any] = None
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _rule(self, **common: Any) -> paddle.optimizer.Optimizer:
        own = {"momentum": self.momentum, "rho": self.rho, "epsilon": self.epsilon}
        rule = paddle.optimizer.RMSProp(centered=self.centered, **own, **common)
        # Paddle's constructor has no such argument; paddle.amp.decorate sets the same attribute.
        rule._multi_precision = self.multi_precision
        return rule
