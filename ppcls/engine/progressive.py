"""Progressive learning: what becomes stronger in the course of training besides the transforms."""

from __future__ import annotations

from typing import List, Tuple

from paddle import nn

from ppcls.config.schema import Config
from ppcls.data.loader import DataLoader
from ppcls.errors import ConfigError


def progress_dropout(config: Config, network: nn.Layer, train: DataLoader) -> Tuple[float, ...]:
    """Return what the head drops in each stage of training; nothing where that does not change.

    Raises:
        ConfigError: dropout is to change in a network whose head drops nothing, or scales in
            evaluation, or training is to be progressive and nothing changes.
    """
    section = config.Global
    rates = section.progress_dropout
    if rates and not dropouts_of_head(network):
        name = getattr(network, "model_name", "") or type(network).__name__
        raise ConfigError(
            f"{config.where('Global', 'progress_dropout')}: the head of {name} has no dropout that "
            "could change; take a network that has some, such as EfficientNet, or leave this "
            "out"
        )
    if rates is None and section.train_mode == "progressive":
        rates = list(getattr(network, "progress_dropout", ()))
    scaled = [one for one in dropouts_of_head(network) if one.mode != "upscale_in_train"]
    if rates and scaled:
        raise ConfigError(
            f"{config.where('Global', 'progress_dropout')}: the head scales by its dropout in "
            "evaluation (downscale_in_infer), which would then be that of the last stage here and "
            "the network's own everywhere else; write Arch.dropout_mode: upscale_in_train"
        )
    transform = train.dataset.transform
    if section.train_mode == "progressive" and not rates and transform.at(1.0) is transform:
        raise ConfigError(
            f"{config.where('Global', 'train_mode')}: training is to be progressive, but nothing "
            "changes on the way; give RandCropImage.progress_size, "
            "RandAugmentV2.progress_magnitude or Global.progress_dropout, or leave this out"
        )
    return tuple(rates or ())


def dropouts_of_head(network: nn.Layer) -> List[nn.Dropout]:
    """Return the layers that drop features of a head; of a whole network that has no `head`."""
    head = getattr(network, "head", network)
    return [part for part in head.sublayers(include_self=True) if isinstance(part, nn.Dropout)]
