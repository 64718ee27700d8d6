"""Networks: `create_model` builds one by name, `list_models` says which there are.

Importing this package is cheap; Paddle is imported when a network is looked up or built.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, List, Optional

from ppcls import registry
from ppcls.errors import PADDLE_MISSING

if TYPE_CHECKING:
    from ppcls.arch.network import Network

__all__ = ["build", "create_model", "list_models"]


def create_model(
    name: str,
    class_num: Optional[int] = None,
    in_channels: Optional[int] = None,
    **architecture_arguments: Any,
) -> Network:
    """Build the network `name` with fresh weights, in training mode.

    Args:
        name: one of `list_models()`.
        class_num: the number of classes; None keeps the network's own default (1000; LeNet 10).
        in_channels: the channels of an image; None keeps the network's own default (3; LeNet 1).
        **architecture_arguments: what this architecture takes besides, such as `dropout` or `stem`;
            checked against its constructor.

    Raises:
        ConfigError: no network has this name, or an argument is unknown or of the wrong type; the
            message gives the nearest match and what is accepted.
        ImportError: Paddle is not installed; the message says which command installs it.
    """
    _require_paddle()
    heads = {"class_num": class_num, "in_channels": in_channels}
    given = {key: value for key, value in heads.items() if value is not None}
    return _named(registry.create("arch", name, {**architecture_arguments, **given}), name)


def build(part: registry.Part) -> Network:
    """Build the network that a configuration's `Arch` section chose; like `create_model`."""
    _require_paddle()
    return _named(part.build(), part.name)


def list_models(pattern: str = "*") -> List[str]:
    """Return the names of all networks that match a shell-style pattern such as ``*Res*``, sorted.

    Raises:
        ImportError: Paddle is not installed; the message says which command installs it.
    """
    _require_paddle()
    return registry.names("arch", pattern)


def _named(network: Network, name: str) -> Network:
    network.model_name = name
    return network


def _require_paddle() -> None:
    try:
        importlib.import_module("paddle")
    except ModuleNotFoundError as error:
        if error.name != "paddle":
            raise
        raise ImportError(PADDLE_MISSING) from None
