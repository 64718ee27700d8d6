"""Networks with the weights of other toolkits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping

import numpy as np

from ppcls.arch import create_model, require_paddle
from ppcls.errors import CheckpointError
from ppcls.weights.adapting import sizes_of
from ppcls.weights.loading import load_into
from ppcls.weights.reference import find_reference

if TYPE_CHECKING:
    from ppcls.arch.network import Network


def from_reference(source: str, name: str, state: Mapping[str, np.ndarray]) -> Network:
    """Build the network that another toolkit calls `name`, with its weights.

    The number of classes and of input channels are those of the weights.

    Args:
        source: "paddleclas", "torchvision" or "timm".
        name: what the model is called there, such as "resnet34".
        state: its arrays under its own names and in its own layout, as its checkpoint holds them.

    Returns:
        The network in evaluation mode.

    Raises:
        ConfigError: the toolkit or the model is unknown; the message gives the nearest name.
        CheckpointError: the arrays are of another network; the message is the report in words.
        ImportError: Paddle is not installed; the message says which command installs it.
    """
    require_paddle()
    (ours, fixed), naming = find_reference(source, name)
    arguments: Dict[str, Any] = {**fixed, **naming.arguments(state)}
    network = create_model(ours, **arguments)
    sizes: Dict[str, Any] = sizes_of(network, state, source)
    if sizes:
        network = create_model(ours, **arguments, **sizes)
    try:
        load_into(network, state, source=source)
    except CheckpointError as error:
        raise CheckpointError(f"{source}'s {name}: {error}") from None
    network.eval()
    return network
