"""Freezing parts of a network, for training that starts from weights of another task."""

from __future__ import annotations

from typing import Iterable, List, Sequence, Tuple, Union

from paddle import nn

from ppcls.arch.network import Network
from ppcls.errors import ConfigError, did_you_mean

ALL_STAGES = "stages"

Freeze = Union[str, int, Sequence[str]]
"""All stages ("stages"), how many of the first ones, or their names."""

_KEEP_STATISTICS = (nn.BatchNorm1D, nn.BatchNorm2D, nn.SyncBatchNorm)


def freeze(network: Network, wanted: Freeze) -> Tuple[str, ...]:
    """Keep stages of a network as they are in training, parameters and running statistics, and
    return their names.

    Args:
        network: of `ppcls.arch`.
        wanted: which stages.

    Raises:
        ConfigError: the network has no such stages.
    """
    _refuse_plain(network)
    names = _names(network, wanted)
    layers = [getattr(network, name) for name in names]
    for layer in layers:
        for parameter in layer.parameters():
            parameter.stop_gradient = True
    _hold(network, layers)
    return names


def freeze_statistics(network: Network) -> int:
    """Let batch normalisation use its running statistics in training instead of the batch's; scale
    and shift are trained as before. Return how many layers do so.

    A few images at a time say less of the data than what the weights were trained with.

    Raises:
        ConfigError: the network is a plain layer.
    """
    _refuse_plain(network)
    found = [
        layer
        for layer in network.sublayers(include_self=False)
        if isinstance(layer, _KEEP_STATISTICS)
    ]
    _hold(network, found)
    return len(found)


def _refuse_plain(network: nn.Layer) -> None:
    """Refuse layers that do not know what is held when they are switched to training."""
    if not isinstance(network, Network):
        name = getattr(network, "model_name", "") or type(network).__name__
        raise ConfigError(
            f"{name} is a plain layer, of which nothing can be frozen; a network that can be "
            "extends ppcls.arch.network.Network and lists its `stages`"
        )


def _hold(network: Network, layers: Iterable[nn.Layer]) -> None:
    held: List[nn.Layer] = [part for layer in layers for part in layer.sublayers(include_self=True)]
    network.held_in_evaluation = (*network.held_in_evaluation, *held)


def _names(network: Network, wanted: Freeze) -> Tuple[str, ...]:
    stages = network.stages
    if wanted == ALL_STAGES:
        return stages
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(stages):
            raise ConfigError(f"{network.model_name} has {len(stages)} stages, not {wanted}")
        return stages[:wanted]
    listed = [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [name for name in listed if name not in stages]
    if unknown:
        raise ConfigError(
            f"{network.model_name} has no stage '{unknown[0]}'."
            f"{did_you_mean(unknown[0], stages)} Accepted: {ALL_STAGES} (all of them), a number of "
            f"the first ones, or a list of {', '.join(stages)}"
        )
    return tuple(listed)
