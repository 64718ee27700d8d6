"""Plain `paddle.nn.Layer`s as networks: what a user's own file registers without our base class.

They train, evaluate and export like the others. What needs to know their structure (feature maps)
is for subclasses of `ppcls.arch.network.Network`.
"""

from __future__ import annotations

from typing import Any, Dict, Sequence

import paddle
from paddle import nn

from ppcls.arch.network import Network, evaluation_mode
from ppcls.errors import ConfigError
from ppcls.own_parts import their_traceback
from ppcls.registry import Part, arguments_model

_USUAL = ("input_size", "min_input_size", "stages", "levels", "aux_heads", "aux_weight")
_SIZES = ("class_num", "in_channels")


def complete_plain(network: Any, part: Part) -> None:
    """Give a plain layer the attributes that the toolkit asks of networks and that it lacks.

    Raises:
        ConfigError: it is no layer.
    """
    if not isinstance(network, nn.Layer):
        raise ConfigError(
            f"the network {part.name} must be a paddle.nn.Layer, but {type(network).__name__} was "
            "made"
        )
    fields = arguments_model("arch", part.name).model_fields
    known = {key: part.arguments.get(key, fields[key].default) for key in _SIZES if key in fields}
    usual = {key: getattr(Network, key) for key in _USUAL}
    for key, value in {**usual, **known}.items():
        if not hasattr(network, key):
            setattr(network, key, value)


def accepted_sizes(name: str, **sizes: int) -> Dict[str, int]:
    """Return those of `class_num` and `in_channels` that the network `name` takes as arguments."""
    fields = arguments_model("arch", name).model_fields
    return {key: value for key, value in sizes.items() if key in fields}


def check_logits(network: Any, shape: Sequence[int], class_num: int) -> None:
    """Run two images of zeros through a plain layer, and check what comes out.

    Args:
        network: the layer; those that extend `Network` are known to fit.
        shape: [channels, height, width] of an image.
        class_num: how many classes there are.

    Raises:
        ConfigError: it cannot take such images, or gives something else than logits for the
            classes.
    """
    if isinstance(network, Network):
        return
    name, taken = network.model_name, [2, *shape]
    try:
        with evaluation_mode(network), paddle.no_grad():
            logits = network(paddle.zeros(taken))
    except Exception as error:
        raise ConfigError(
            f"the network {name} fails with two images, {taken}:\n{their_traceback(error)}"
        ) from None
    given = list(logits.shape) if isinstance(logits, paddle.Tensor) else type(logits).__name__
    if given != [2, class_num]:
        raise ConfigError(
            f"the network {name} returns {given} for two images, {taken}; in evaluation it must "
            f"return logits, [2, {class_num}] for the {class_num} classes of the data. A "
            "constructor with the argument class_num is given that number"
        )
