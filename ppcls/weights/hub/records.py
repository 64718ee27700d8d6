"""What is known of each published checkpoint, from the families' data: `ppcls.arch.family_data`."""

from __future__ import annotations

import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, Dict, Iterator, List

from ppcls.arch.family_data import FamilyData, Publication, WeightFiles, families
from ppcls.errors import UsageError, did_you_mean
from ppcls.text import network_order

PACKAGE = "package:"


class Record(WeightFiles, Publication):
    """A published checkpoint: what its publisher says of all, and what is known of this one.

    Attributes:
        name: what it is called in this table: the network, or a further checkpoint of one.
        network: the network that it fits, as `ppcls.create_model` names it.
        source: the page that says so.
    """

    name: str
    network: str
    source: str

    @property
    def in_package(self) -> bool:
        """Whether an installed package brings the file, so that nothing is downloaded."""
        return self.address.startswith(PACKAGE)

    @property
    def filename(self) -> str:
        """What the file is called in the cache: the record's name and the published ending."""
        return self.name + Path(self.address).suffix

    def transform_ops(self) -> List[Dict[str, Dict[str, Any]]]:
        """The evaluation preprocessing, as a configuration's `transform_ops` says it."""
        resize = {"interpolation": self.interpolation, "backend": self.backend}
        return [
            {"DecodeImage": {"to_rgb": True, "channel_first": False}},
            {"ResizeImage": {"resize_short": self.resize, **resize}},
            {"CropImage": {"size": self.crop}},
            {"NormalizeImage": {"mean": list(self.mean), "std": list(self.std), "order": ""}},
            {"ToCHWImage": {}},
        ]


def find_record(name: str) -> Record:
    """Return the record of a checkpoint.

    Raises:
        UsageError: there is none of this name; the message gives the nearest.
    """
    if name not in _records():
        raise UsageError(
            f"no published weights are known for '{name}'.{did_you_mean(name, _records())} "
            "`ppcls weights list` shows all that are"
        )
    return _records()[name]


def find_network_record(name: str) -> Record:
    """Return the record of a network that exists; another one's name is no help where it has none.

    Raises:
        UsageError: no weights of this network are published.
    """
    if name not in _records():
        raise UsageError(
            f"no weights of {name} are published (`ppcls weights list` shows which are); a "
            "checkpoint from elsewhere is named by its file: Arch.pretrained=FILE"
        )
    return _records()[name]


def record_names(pattern: str = "*") -> List[str]:
    """Return the names that match a shell-style pattern, sorted by family and size."""
    return [name for name in _records() if fnmatch.fnmatchcase(name, pattern)]


@cache
def _records() -> Dict[str, Record]:
    found = {r.name: r for family in families().values() for r in _of_family(family)}
    return {name: found[name] for name in sorted(found, key=network_order)}


def _of_family(family: FamilyData) -> Iterator[Record]:
    """Yield the records of the weights that can be fetched."""
    for name, network, published in family.publications():
        publisher = family.publishers[published.by]
        if publisher.weights is None:
            continue
        files = publisher.weights.model_dump(exclude={"address"})
        yield Record(
            name=name,
            network=network,
            address=publisher.weights.address.format(name=name),
            source=publisher.source,
            **files,
            **published.model_dump(exclude={"network"}),
        )
