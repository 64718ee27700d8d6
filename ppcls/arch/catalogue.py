"""The networks with what is known of them: size, cost, published accuracy, weights. No network is
built, so this takes a moment and needs no Paddle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Callable, Dict, List, Optional

from ppcls.arch import list_models
from ppcls.arch.family_data import NetworkData
from ppcls.arch.family_data import networks as known_networks
from ppcls.errors import UsageError, did_you_mean
from ppcls.own_parts import offers_parts
from ppcls.text import network_order
from ppcls.weights.hub.local import locate
from ppcls.weights.hub.records import find_record, record_names

HERE, PUBLISHED = "here", "published"


@dataclass(frozen=True)
class Model:
    """What is known of a network.

    Attributes:
        name: as in `Arch.name`.
        parameters: trainable ones; None where that is not known.
        macs: multiply-accumulates of one image; None where nobody counted them.
        side: of the square image that they are of, in pixels.
        top1: published accuracy on the ImageNet-1k validation images, a fraction.
        top5: the same for the five most probable classes.
        by: who published them.
        weights: "here" (in the cache, or installed), "published" (to be fetched), or "".
    """

    name: str
    parameters: Optional[int] = None
    macs: Optional[int] = None
    side: Optional[int] = None
    top1: Optional[float] = None
    top5: Optional[float] = None
    by: str = ""
    weights: str = ""

    def to_dict(self) -> Dict[str, Any]:
        """Return plain values."""
        return asdict(self)


_ORDERS: Dict[str, Callable[[Model], Optional[float]]] = {
    "params": lambda model: model.parameters,
    "macs": lambda model: model.macs,
    "accuracy": lambda model: None if model.top1 is None else -model.top1,
}
"""What `sort` means; what is not known comes last."""

ORDERS = tuple(_ORDERS)


def find_models(
    pattern: str = "*",
    with_weights: bool = False,
    weights_here: bool = False,
    max_params: Optional[float] = None,
    max_macs: Optional[float] = None,
    sort: Optional[str] = None,
) -> List[Model]:
    """Return the networks that match, sorted by name as people do.

    Args:
        pattern: of names, in the style of shells.
        with_weights: only those with published weights, here or to be fetched.
        weights_here: only those whose weights are on this machine.
        max_params: the most trainable parameters; networks of unknown size are left out.
        max_macs: the most multiply-accumulates of one image, likewise.
        sort: "params" or "macs" (the smallest first), or "accuracy" (the highest top-1 first).

    Raises:
        UsageError: there is no such order.
    """
    if sort is not None and sort not in _ORDERS:
        raise UsageError(
            f"unknown order '{sort}'.{did_you_mean(sort, ORDERS)} Accepted: {', '.join(ORDERS)}"
        )
    models = [model for model in _models() if fnmatchcase(model.name, pattern)]
    found = [
        model
        for model in models
        if (model.weights or not with_weights)
        and (model.weights == HERE or not weights_here)
        and _is_within(model.parameters, max_params)
        and _is_within(model.macs, max_macs)
    ]
    return sorted(found, key=_key(_ORDERS[sort])) if sort else found


def _is_within(count: Optional[int], most: Optional[float]) -> bool:
    return most is None or (count is not None and count <= most)


def _key(value: Callable[[Model], Optional[float]]) -> Callable[[Model], Any]:
    return lambda model: (value(model) is None, value(model) or 0)


def _models() -> List[Model]:
    known, published = known_networks(), set(record_names())
    own = set(list_models()) - set(known) if offers_parts() else set()
    models = [_model(name, row, name in published) for name, row in known.items()]
    models += [Model(name) for name in own]
    return sorted(models, key=lambda model: network_order(model.name))


def _model(name: str, row: NetworkData, has_weights: bool) -> Model:
    publication = row.published
    side, macs = _cost(row)
    weights = ""
    if has_weights:
        weights = HERE if locate(find_record(name)).path else PUBLISHED
    return Model(
        name,
        row.parameters,
        macs,
        side,
        publication.top1 if publication else None,
        publication.top5 if publication else None,
        publication.by if publication else "",
        weights,
    )


def _cost(row: NetworkData) -> Any:
    """Return side and multiply-accumulates: those of the published crop where they are known."""
    crop = row.published.crop if row.published else None
    sides = [side for side in (crop, *row.macs) if side in row.macs]
    return (sides[0], row.macs[sides[0]]) if sides else (None, None)
