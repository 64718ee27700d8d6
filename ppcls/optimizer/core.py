"""What all optimisers have in common.

The rate of each step, clipping, weight decay, and state that can be saved exactly.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Any, Dict, Iterable, List, Mapping, Optional, Union

import numpy as np
import paddle
from paddle.base.layer_helper import LayerHelper

from ppcls.errors import CheckpointError, ConfigError
from ppcls.optimizer.regularizer import l2
from ppcls.optimizer.rules import AdaptiveClip
from ppcls.optimizer.schedule import Schedule
from ppcls.registry import Part
from ppcls.text import first_few

_log = logging.getLogger("ppcls")

MASTER = "master_weight"
"""What the state calls the float32 copy of a half-precision parameter."""


class _NoDecay(paddle.regularizer.L2Decay):
    """Exempts a parameter: Paddle prefers a parameter's own regulariser to the optimiser's."""

    def __init__(self) -> None:
        super().__init__(0.0)


class Optimizer(ABC):
    """An update rule with its schedule.

    A training step is ``optimizer.set_step(step)``, forward, backward, ``optimizer.step()``,
    ``optimizer.clear_grad()``. `inner` is Paddle's optimiser, for a GradScaler or
    `paddle.amp.decorate`.

    A subclass is a dataclass whose fields are its arguments; all of them have those named here.

    Raises:
        ConfigError: the network has no parameter to train, or a penalty or a limit of gradients is
            given twice.
    """

    decay_in_gradient = True
    """Whether decay is a penalty that goes into the gradient, or a part of the rule."""

    lr: Part
    weight_decay: Optional[float]
    regularizer: Optional[Part] = None
    one_dim_param_no_weight_decay: bool
    no_weight_decay_name: Union[str, List[str], None]
    clip_norm: Optional[float]
    clip_norm_global: Optional[float]
    clip_value: Optional[float]
    clip_adaptive: Optional[float]
    layer_decay: float
    multi_precision: bool
    model: paddle.nn.Layer
    epochs: int
    steps_per_epoch: int

    def __post_init__(self) -> None:
        penalty, clip = self._penalty(), self._clip()
        self.schedule: Schedule = self.lr.build(
            epochs=self.epochs, steps_per_epoch=self.steps_per_epoch
        )
        named = _trainable(self.model)
        if not named:
            raise ConfigError("Optimizer: the network has nothing to train; is everything frozen?")
        exempt = self._exempt(named)
        _scale_rates(self.model, named, self.layer_decay)
        self.inner = self._rule(
            learning_rate=float(self.schedule.at(0)),
            parameters=list(named.values()),
            grad_clip=clip,
            **self._decay_arguments(penalty, exempt),
        )
        _mark(named.values(), exempt if self.decay_in_gradient and penalty else [])

    @abstractmethod
    def _rule(self, **common: Any) -> paddle.optimizer.Optimizer:
        """Return Paddle's optimiser with the arguments of its own and those that all have."""

    def _decay_arguments(self, penalty: Any, exempt: List[paddle.Tensor]) -> Dict[str, Any]:
        """Return the decay in the words of Paddle's optimiser."""
        return {"weight_decay": penalty}

    def _penalty(self) -> Any:
        """Return Paddle's object for the penalty that goes into the gradient, or None."""
        if self.weight_decay is None:
            return self.regularizer.build() if self.regularizer else None
        if self.regularizer is not None:
            raise ConfigError(
                "Optimizer: weight_decay and regularizer are two ways to say the same; keep one "
                "(weight_decay: X is regularizer: {name: L2, coeff: X})"
            )
        return l2(self.weight_decay)

    def _clip(self) -> Any:
        """Return Paddle's object for the limit of gradients, applied before weight decay, or None.

        `clip_norm` scales each parameter's gradient on its own down to at most this Euclidean norm,
        as in PaddleClas; `clip_norm_global` all gradients together; `clip_value` limits each
        element to [-value, value]; `clip_adaptive` is that of `AdaptiveClip`.
        """
        limits = {
            "clip_norm": (self.clip_norm, paddle.nn.ClipGradByNorm),
            "clip_norm_global": (self.clip_norm_global, paddle.nn.ClipGradByGlobalNorm),
            "clip_value": (self.clip_value, paddle.nn.ClipGradByValue),
            "clip_adaptive": (self.clip_adaptive, self._adaptive_clip),
        }
        given = {key: kind(limit) for key, (limit, kind) in limits.items() if limit is not None}
        if len(given) > 1:
            raise ConfigError(f"Optimizer: give one of {' and '.join(given)}, not both")
        return next(iter(given.values()), None)

    def _adaptive_clip(self, fraction: float) -> AdaptiveClip:
        return AdaptiveClip(fraction, [one.name for one in classifying_parameters(self.model)])

    def _exempt(self, named: Mapping[str, paddle.Tensor]) -> List[paddle.Tensor]:
        """Return the parameters that must not decay.

        One-dimensional ones are biases and the scales and shifts of normalisation. Some networks
        name parameters of their own. A text in `no_weight_decay_name` that no parameter's name
        contains gets a warning.
        """
        given = self.no_weight_decay_name or []
        texts = given.split() if isinstance(given, str) else given
        for text in texts:
            if not any(text in name for name in named):
                _log.warning("Optimizer.no_weight_decay_name: no parameter contains '%s'", text)
        undecayed = getattr(self.model, "undecayed", ())
        return [
            parameter
            for name, parameter in named.items()
            if (self.one_dim_param_no_weight_decay and len(parameter.shape) == 1)
            or name in undecayed
            or any(text in name for text in texts)
        ]

    def set_step(self, step: int) -> None:
        """Take the learning rate of the global step `step`, counted from 0, from the schedule."""
        rate = float(self.schedule.at(step))
        if rate != self.inner.get_lr():
            self.inner.set_lr(rate)

    def step(self) -> None:
        """Change the parameters by what their gradients say."""
        self.inner.step()

    def clear_grad(self) -> None:
        """Forget the gradients.

        They are released, not zeroed: a parameter that takes no part in a step then stays as it
        is, in a run that goes through as well as in one that was resumed.
        """
        self.inner.clear_grad(set_to_zero=False)

    def state_arrays(self, model: paddle.nn.Layer) -> Dict[str, np.ndarray]:
        """Return copies of everything that the rule remembers, such as "conv1.weight.velocity".

        Names are those of `model.named_parameters()`, which are the same in every process. The
        state is complete even before the first step; load a network's weights first, since
        half-precision ones get their float32 copy here.
        """
        return {name: tensor.numpy() for name, tensor in self._tensors(model).items()}

    def load_state_arrays(self, model: paddle.nn.Layer, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from what `state_arrays` returned, exactly to the bit, in any process.

        Raises:
            CheckpointError: names, shapes or types differ; nothing has been changed then.
        """
        tensors = self._tensors(model)
        _check_state(tensors, arrays)
        for name, tensor in tensors.items():
            tensor.set_value(np.ascontiguousarray(arrays[name]).reshape(tensor.shape))

    def _tensors(self, model: paddle.nn.Layer) -> Dict[str, paddle.Tensor]:
        """Return the rule's tensors by structured name, also before the first step."""
        named = _trainable(model)
        self._create_accumulators(list(named.values()))
        masters = getattr(self.inner, "_master_weights", {})
        found = {}
        for name, parameter in named.items():
            master = masters.get(parameter.name)
            if master is not None:
                found[f"{name}.{MASTER}"] = master
            owner = parameter.name if master is None else master.name
            for kind, tensors in self.inner._accumulators.items():
                if owner in tensors:
                    found[f"{name}.{kind}"] = tensors[owner]
        return found

    def _create_accumulators(self, parameters: List[paddle.Tensor]) -> None:
        """Let Paddle create now what it creates at the first step; it leaves existing ones alone.

        `set_state_dict` is no way around this: it wants Paddle's own names, which count layers over
        the whole process.
        """
        if self.inner.helper is None:
            self.inner.helper = LayerHelper(type(self.inner).__name__)
        block = paddle.static.default_main_program().global_block()
        with paddle.no_grad():
            self.inner._create_accumulators(block, parameters)


def _mark(parameters: Iterable[paddle.Tensor], exempt: Iterable[paddle.Tensor]) -> None:
    """Exempt parameters from a penalty, and forget the exemptions of an earlier optimiser.

    Two parameter groups would do the same, but Paddle clips each group by a global norm of its own.
    """
    for parameter in parameters:
        if isinstance(getattr(parameter, "regularizer", None), _NoDecay):
            parameter.regularizer = None
    for parameter in exempt:
        parameter.regularizer = _NoDecay()


def _scale_rates(model: paddle.nn.Layer, named: Mapping[str, paddle.Tensor], decay: float) -> None:
    """Give each parameter its fraction of the rate, and forget that of an earlier optimiser.

    Bao, Dong, Piao, Wei 2022, "BEiT", section A: layer-wise learning-rate decay.

    Raises:
        ConfigError: the network does not say in which order its stages run.
    """
    stages = list(getattr(model, "stages", ()))
    if decay < 1 and not stages:
        raise ConfigError(
            "Optimizer.layer_decay: this network does not list its stages; leave it out"
        )
    for name, parameter in named.items():
        stage = name.partition(".")[0]
        behind = len(stages) - stages.index(stage) if stage in stages else 0
        own = getattr(parameter, "own_rate", parameter.optimize_attr.get("learning_rate", 1.0))
        parameter.own_rate = own
        parameter.optimize_attr = {**parameter.optimize_attr, "learning_rate": own * decay**behind}


def classifying_parameters(model: paddle.nn.Layer) -> List[paddle.Tensor]:
    """Return the parameters of the layer that gives the classes: the head's last with weights."""
    head = getattr(model, "head", model)
    layers = [one for one in head.sublayers(include_self=True) if one._parameters]
    return [one for one in layers[-1]._parameters.values() if one is not None] if layers else []


def _trainable(model: paddle.nn.Layer) -> Dict[str, paddle.Tensor]:
    return {name: tensor for name, tensor in model.named_parameters() if not tensor.stop_gradient}


def _check_state(tensors: Mapping[str, paddle.Tensor], arrays: Mapping[str, np.ndarray]) -> None:
    different = [
        f"{name}: {_form(arrays[name])} instead of {_form(tensor.numpy())}"
        for name, tensor in tensors.items()
        if name in arrays and not _fits(tensor, arrays[name])
    ]
    faults = {
        "missing": [name for name in tensors if name not in arrays],
        "unexpected": [name for name in arrays if name not in tensors],
        "of another form": different,
    }
    words = [
        f"{len(found)} {what} ({first_few(found, 3)})" for what, found in faults.items() if found
    ]
    if words:
        raise CheckpointError(
            f"the optimiser's state does not fit: {'; '.join(words)}. It was saved with another "
            "optimiser, network or precision; resume with the configuration that wrote it, or "
            "start again from its weights"
        )


def _fits(tensor: paddle.Tensor, array: np.ndarray) -> bool:
    return list(tensor.shape) == list(array.shape) and tensor.numpy().dtype == array.dtype


def _form(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"
