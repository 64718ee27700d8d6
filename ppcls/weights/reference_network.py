"""Networks with the weights of other toolkits."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, Dict, Mapping

import numpy as np

from ppcls.arch import create_model, require_paddle
from ppcls.errors import CheckpointError
from ppcls.weights.fitted_arrays import sizes_of
from ppcls.weights.formats.pth import without_prefix
from ppcls.weights.names.toolkits import find_reference
from ppcls.weights.network_weights import load

if TYPE_CHECKING:
    from ppcls.arch.network import Network


def from_reference(source: str, name: str, state: Mapping[str, np.ndarray]) -> Network:
    """Build the network that another toolkit calls `name`, with its weights.

    The number of classes and of input channels are those of the weights.

    Args:
        source: a key of `ppcls.weights.names.toolkits.SOURCES`.
        name: what the model is called there, such as "resnet34".
        state: its arrays under its own names and in its own layout, as its checkpoint holds them;
            the prefix `module.` of data-parallel training is removed.

    Returns:
        The network in evaluation mode.

    Raises:
        ConfigError: the toolkit or the model is unknown; the message gives the nearest name.
        CheckpointError: something in `state` is no array of numbers, or the arrays are of another
            network; the message is the report.
        ImportError: Paddle is not installed; the message says which command installs it.
    """
    require_paddle()
    (ours, fixed), naming = find_reference(source, name)
    state = without_prefix(_arrays(state))
    arguments: Dict[str, Any] = {**fixed, **naming.arguments(state)}
    network = create_model(ours, **arguments)
    sizes: Dict[str, Any] = sizes_of(network, state, source)
    if sizes:
        network = create_model(ours, **arguments, **sizes)
    try:
        load(network, state, toolkit=source)
    except CheckpointError as error:
        raise CheckpointError(f"{source}'s {name}: {error}") from None
    network.eval()
    return network


def _arrays(state: Mapping[str, Any]) -> Dict[str, np.ndarray]:
    """Refuse what is no array of numbers: NumPy would turn texts and lists into some, silently."""
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f"state must be a dictionary {{name: NumPy array}}, got {type(state).__name__}; "
            "ppcls.weights.read(FILE).arrays gives one"
        )
    for name, array in state.items():
        if isinstance(array, Mapping):
            raise CheckpointError(
                f"state holds a dictionary, {reprlib.repr(name)}: if that has the arrays, pass it "
                "alone instead of the whole checkpoint"
            )
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
            kind = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array)
            raise CheckpointError(
                f"state must hold NumPy arrays of numbers, but {reprlib.repr(name)} is {kind}; "
                "tensors become arrays by {name: tensor.numpy() for name, tensor in state.items()}"
            )
    return dict(state)
