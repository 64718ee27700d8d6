"""Networks: `create_model` builds one by name, `list_models` says which there are.

Importing this package is cheap; Paddle is imported when a network is looked up or built.
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Union

from ppcls import registry, runtime, weights
from ppcls.errors import PADDLE_MISSING, ConfigError

if TYPE_CHECKING:
    from ppcls.arch.features import FeatureExtractor
    from ppcls.arch.network import Network

__all__ = ["build", "create_model", "list_models"]

_log = logging.getLogger("ppcls")


def create_model(
    name: str,
    class_num: Optional[int] = None,
    in_channels: Optional[int] = None,
    pretrained: Union[bool, str, Path] = False,
    features_only: bool = False,
    out_indices: Optional[Sequence[int]] = None,
    **architecture_arguments: Any,
) -> Union[Network, FeatureExtractor]:
    """Build the network `name`, in training mode.

    Args:
        name: one of `list_models()`.
        class_num: the number of classes; None keeps the network's own default (1000; LeNet 10).
        in_channels: the channels of an image; None keeps the network's own default (3; LeNet 1).
        pretrained: True for the published weights, downloaded once, or a weight file; False starts
            fresh. Weights for other classes or channels are adapted, see `ppcls.weights.load` with
            "adapt", and the log says so.
        features_only: return a `FeatureExtractor`: images -> a list of feature maps.
        out_indices: with `features_only`, which of the network's levels; None takes all.
        **architecture_arguments: what this architecture takes besides, such as `dropout` or `stem`;
            checked against its constructor.

    Raises:
        ConfigError: no network has this name, or an argument is unknown or of the wrong type; the
            message gives the nearest match and what is accepted.
        CheckpointError: the weights cannot be had, cannot be read, or are of another network.
        ImportError: Paddle is not installed; the message says which command installs it.
    """
    require_paddle()
    if out_indices is not None and not features_only:
        raise ConfigError("out_indices says which feature maps to return: it needs features_only")
    heads = {"class_num": class_num, "in_channels": in_channels}
    given = {key: value for key, value in heads.items() if value is not None}
    network = build(registry.checked("arch", name, {**architecture_arguments, **given}))
    if pretrained:
        report = weights.load(network, pretrained, fit="adapt")
        for sentence in report.adapted:
            _log.warning("%s: %s", report.path, sentence)
    if not features_only:
        return network
    from ppcls.arch.features import FeatureExtractor

    return FeatureExtractor(network, out_indices)


def build(part: registry.Part) -> Network:
    """Build the network that a configuration's `Arch` section chose; like `create_model`."""
    require_paddle()
    from ppcls.arch.initial_weights import start_as_published
    from ppcls.arch.network import Network as Base

    network: Any = part.build()
    if not isinstance(network, Base):
        from ppcls.arch.plain import complete_plain

        complete_plain(network, part)
    elif registry.is_built_in(registry.lookup("arch", part.name).constructor):
        start_as_published(network, part.name)
    network.model_name, network.model_arguments = part.name, dict(part.arguments)
    return network  # type: ignore[no-any-return]


def list_models(pattern: str = "*") -> List[str]:
    """Return the names of all networks that match a shell-style pattern such as ``*Res*``, sorted.

    Raises:
        ImportError: Paddle is not installed; the message says which command installs it.
    """
    require_paddle()
    return registry.names("arch", pattern)


def require_paddle() -> None:
    """Load Paddle, with the threads and the math library that suit this machine, see `runtime`.

    Raises:
        ImportError: it is not installed; the message says which command installs it.
    """
    if importlib.util.find_spec("paddle") is None:
        raise ImportError(PADDLE_MISSING)
    runtime.prepare()
