"""The pictures of a report that are computed: where the network looks, and what training makes of
a photo.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional

import cv2
import numpy as np

from ppcls.arch.network import Network
from ppcls.config import Config
from ppcls.errors import ConfigError, DataError
from ppcls.report.attribution import grad_cam, overlays
from ppcls.report.findings import Example
from ppcls.report.gather import Gathered
from ppcls.report.judged import eval_ops
from ppcls.report.photos import Photos, variants, visible

_WRONG, _VARIANTS = 4, 9


class Look(NamedTuple):
    """Where the network sees a class in an image."""

    label: int
    picture: Optional[str]


class Attention(NamedTuple):
    """An image, and where the network sees its label, and what it took it for, if that differs."""

    example: Example
    looks: List[Look]


@dataclass
class Illustrations:
    """Pictures as data URIs; None where there was no more room."""

    attention: List[Attention] = field(default_factory=list)
    augmented: List[Optional[str]] = field(default_factory=list)


def illustrate(
    gathered: Gathered, config: Config, network: Network, photos: Photos
) -> Illustrations:
    """Compute the pictures; what cannot be made has its reason in the findings."""
    found, made = gathered.findings, Illustrations()
    try:
        made.attention = _attention(gathered, config, network, photos)
    except (ConfigError, DataError) as error:
        found.empty["attention"] = str(error)
    try:
        made.augmented = _augmented(gathered, config, photos)
    except (ConfigError, DataError) as error:
        found.empty["augmentation"] = str(error)
    return made


def _attention(
    gathered: Gathered, config: Config, network: Network, photos: Photos
) -> List[Attention]:
    found = gathered.findings
    return [
        Attention(one, _looks(gathered, config, network, photos, one))
        for one in [*found.mistakes[:_WRONG], *found.right]
    ]


def _looks(
    gathered: Gathered, config: Config, network: Network, photos: Photos, one: Example
) -> List[Look]:
    dataset, classes = gathered.judged[one.split].dataset, list(_classes(one))
    data = dataset.read(one.index)
    inputs = np.stack([dataset.transform(data)] * len(classes))
    pixels = visible(eval_ops(config))(data)
    if pixels.shape[2] == 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    heat = grad_cam(network, inputs, np.array(classes, np.int64))
    laid = overlays(np.stack([pixels] * len(classes)), heat)
    return [Look(label, photos.picture(picture)) for label, picture in zip(classes, laid)]


def _classes(one: Example) -> List[int]:
    return [one.label] if one.is_right else [one.predicted, one.label]


def _augmented(gathered: Gathered, config: Config, photos: Photos) -> List[Optional[str]]:
    one = gathered.findings.augmented
    if one is None:
        return []
    dataset = gathered.judged["train"].dataset
    return [photos.picture(picture) for picture in variants(config, dataset, one.index, _VARIANTS)]
