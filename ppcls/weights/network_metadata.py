"""What a weight file says of its network, and whether that is the network it is given to."""

from __future__ import annotations

import json
from typing import Any, Collection, Dict, Mapping

from ppcls.errors import CheckpointError
from ppcls.registry import arguments_model

_LONGEST_VALUE = 200
"""Letters of a message that a file may fill with a value."""


def metadata_of(network: Any) -> Dict[str, Any]:
    """Return what a weight file notes of its network: what it is refused by where it does not
    belong, and what people want to know of it.
    """
    sizes = {key: getattr(network, key, None) for key in ("class_num", "in_channels")}
    known = {key: value for key, value in sizes.items() if value is not None}
    return {"arch": network.model_name, **known}


def check_same_arch(
    metadata: Mapping[str, Any], network: Any, label: str, besides: Collection[str] = ()
) -> None:
    """Compare the architecture that a file of this toolkit notes, and the arguments that make it,
    with those of the network that is to take its weights.

    Args:
        metadata: what the file notes; of what it does not note nothing is compared.
        network: a network; one without a registered name takes anything.
        label: the file, as messages call it.
        besides: arguments that may differ.

    Raises:
        CheckpointError: they differ, which shapes alone do not always show.
    """
    name = getattr(network, "model_name", "")
    if not name:
        return
    if metadata.get("arch", name) != name:
        raise CheckpointError(
            f"{label} holds the weights of {metadata['arch']}, the configuration asks for "
            f"{name}. Use -o Arch.name={metadata['arch']}, or another file"
        )
    known = arguments_model("arch", name).model_fields
    for key, there in metadata.get("arguments", {}).items():
        here = network.model_arguments.get(key, known[key].default if key in known else None)
        if there != here and key not in besides:
            noted = json.dumps(there)[:_LONGEST_VALUE]
            raise CheckpointError(
                f"{label} holds the weights of {name} with {key}: {noted}, the "
                f"configuration builds it with {key}: {json.dumps(here)}. Use -o "
                f"Arch.{key}={noted}, or another file"
            )


def check_same_classes(metadata: Mapping[str, Any], network: Any, label: str) -> None:
    """Compare the number of classes that a file of this toolkit notes with the network's.

    Raises:
        CheckpointError: they differ.
    """
    wanted = getattr(network, "class_num", None)
    if metadata.get("class_num", wanted) != wanted:
        raise CheckpointError(
            f"{label} was trained for {metadata['class_num']} classes, the network has "
            f"{wanted}. To load all but the last layer: -o Global.partial=True"
        )
