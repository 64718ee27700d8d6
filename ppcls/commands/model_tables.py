"""The tables of networks: what they cost, computed; what others published; what was measured here.

A table is Markdown in columns, which reads well in a terminal too. Computed numbers are upright,
published ones in italics, those measured here bold.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Callable, Dict, List, Optional, Tuple
from urllib.parse import urlsplit

from ppcls import registry
from ppcls.arch.family_data import FamilyData, Publication, families
from ppcls.arch.latency import measured_latencies
from ppcls.arch.summary import network_costs
from ppcls.errors import ConfigError
from ppcls.text import markdown_table, network_order

NOTHING = "–"
ENGINES = {"paddle": "Paddle", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
"""Columns of latency: float32, one image."""

PUBLISHED = ("Resize/crop", "Top-1 (%)", "Top-5 (%)", "Source")
"""What `published_cells` fills."""

Words = Callable[[str], str]
"""Turns an English heading into the language of a page."""

costs = cache(network_costs)
"""Like `network_costs`, each network counted once."""


@dataclass(frozen=True)
class Family:
    """The networks of one file of `ppcls/arch/backbone`.

    Attributes:
        name: of the file, without its ending.
        title: of the classes that are its networks.
        networks: their names, in natural order.
    """

    name: str
    title: str
    networks: Tuple[str, ...]

    @property
    def data(self) -> FamilyData:
        """What is known of the networks besides their code."""
        return families()[self.name]


def find_families(pattern: str = "*", networks: str = "*") -> List[Family]:
    """Return the families and their networks that match shell-style patterns, sorted by name."""
    found: Dict[str, List[str]] = {}
    for name in sorted(registry.names("arch", networks), key=network_order):
        stem = registry.lookup("arch", name).constructor.__module__.rpartition(".")[2]
        if fnmatchcase(stem, pattern):
            found.setdefault(stem, []).append(name)
    return [Family(stem, _title(found[stem]), tuple(found[stem])) for stem in sorted(found)]


def _title(networks: List[str]) -> str:
    classes = (registry.lookup("arch", name).constructor.__name__ for name in networks)
    return ", ".join(dict.fromkeys(classes))


class Sources:
    """Names for the addresses that a page cites, so that its tables stay narrow."""

    def __init__(self) -> None:
        self._labels: Dict[str, str] = {}

    def cite(self, address: str) -> str:
        """Return the mark of an address, such as [PaddleClas]."""
        if address not in self._labels:
            label = _label(address)
            before = sum(other.split(" ")[0] == label for other in self._labels.values())
            self._labels[address] = f"{label} {before + 1}" if before else label
        return f"[{self._labels[address]}]"

    def definitions(self) -> str:
        """Return a line for each mark, which Markdown does not show."""
        return "\n".join(f"[{label}]: {address}" for address, label in self._labels.items())


def _label(address: str) -> str:
    parts = urlsplit(address)
    if parts.netloc == "github.com":
        return parts.path.split("/")[2]
    if parts.netloc == "arxiv.org":
        return f"arXiv:{parts.path.rpartition('/')[2]}"
    return {"docs.pytorch.org": "torchvision"}.get(parts.netloc, parts.netloc)


def family_table(family: Family, sources: Sources, words: Words = str) -> str:
    """Return the table of a family: a row for each network."""
    head = ["Network", "Input", "Parameters", "Weights (M)", "MACs (G)", "FLOPs (G)"]
    rows = [[*map(words, head), *(f"*{words(text)}*" for text in PUBLISHED)]]
    rows[0] += [f"**{engine} (ms)**" for engine in ENGINES.values()]
    for name in family.networks:
        known = family.data.networks.get(name)
        if known is None:
            raise ConfigError(f"{name} has no row in ppcls/arch/backbone/{family.name}.yaml")
        published = published_cells(known.published, family, sources)
        rows.append([*_computed(name), *published, *_measured(name)])
    return markdown_table(rows, left=[0, 1, 9])


def _computed(name: str) -> List[str]:
    cost = costs(name)
    shape = "x".join(map(str, cost.input_shape))
    millions = f"{cost.weights / 1e6:.3f}"
    return [name, shape, f"{cost.parameters:,}", millions, giga(cost.macs), giga(cost.flops)]


def giga(count: float) -> str:
    """Return billions with three decimals, and of small numbers three digits."""
    return f"{count / 1e9:.3f}" if count >= 1e8 else f"{count / 1e9:.3g}"


def published_cells(
    publication: Optional[Publication], family: Family, sources: Sources
) -> List[str]:
    """Return preprocessing, metrics and source of one set of weights."""
    if publication is None:
        return [NOTHING] * len(PUBLISHED)
    size = f"*{publication.resize}/{publication.crop}*"
    metrics = percent(publication.top1), percent(publication.top5)
    return [size, *metrics, f"*{sources.cite(family.data.publishers[publication.by].source)}*"]


def percent(fraction: Optional[float]) -> str:
    """Return a published fraction as a percentage in italics."""
    return NOTHING if fraction is None else f"*{100 * fraction:.2f}*"


def _measured(name: str) -> List[str]:
    found = measured_latencies()
    return [milliseconds(found.find(name, engine, "fp32", 1)) for engine in ENGINES]


def milliseconds(value: Optional[float]) -> str:
    """Return a latency that was measured here in bold, with three digits."""
    if value is None:
        return NOTHING
    return f"**{value:.0f}**" if value >= 100 else f"**{value:.3g}**"
