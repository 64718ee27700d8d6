"""The tables of networks: what they cost, computed; what others published; what was measured here.

A table is Markdown in columns, which reads well in a terminal too. Computed figures are upright,
published ones in italics, those measured here bold.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Tuple
from urllib.parse import urlsplit

from ppcls import registry
from ppcls.arch import family_data
from ppcls.arch.family_data import FamilyData, Publication, TableRow
from ppcls.arch.summary import Costs, network_costs
from ppcls.text import markdown_table, network_order

NOTHING = "–"
ENGINES = ("Paddle", "ONNX Runtime")
"""Columns of latency."""

Words = Callable[[str], str]
"""Turns an English heading into the language of a page."""

costs = cache(network_costs)
"""Like `network_costs`, each network counted once."""

_CHINESE = {
    "Network": "网络",
    "Networks": "网络",
    "Input": "输入",
    "Parameters": "参数量",
    "Weights (M)": "权重 (M)",
    "MACs (G)": "MACs (G)",
    "FLOPs (G)": "FLOPs (G)",
    "Resize/crop": "缩放/裁剪",
    "Top-1 (%)": "Top-1 (%)",
    "Top-5 (%)": "Top-5 (%)",
    "Reference top-1 (%)": "参考 Top-1 (%)",
    "Reference top-5 (%)": "参考 Top-5 (%)",
    "Source": "来源",
    "Weights": "权重",
    "Parameters (M)": "参数量 (M)",
    "Difference": "相差",
    "Page": "页面",
    "to": "至",
    "Further published weights": "其他已发布的权重",
}

WORDS: Dict[str, Words] = {"en": str, "zh_CN": _CHINESE.__getitem__}


_PAPER = re.compile(r'[A-Z](?:[^".:;]|et al\.)* (?:19|20)\d\d, "[^"]+"(?:, arXiv:\d{4}\.\d{4,5})?')
"""Authors, year, title in quotes, and number of a paper."""


@dataclass(frozen=True)
class Family:
    """The networks of one file of `ppcls/arch/backbone`.

    Attributes:
        name: of the file, without its ending.
        title: of the classes that are its networks.
        papers: those that the file's docstring cites.
        networks: their names, in natural order.
    """

    name: str
    title: str
    papers: Tuple[str, ...]
    networks: Tuple[str, ...]


def find_families(pattern: str = "*", networks: str = "*") -> List[Family]:
    """Return the families and their networks that match shell-style patterns, sorted by name."""
    found: Dict[str, List[str]] = {}
    for name in sorted(registry.names("arch", networks), key=network_order):
        module = registry.lookup("arch", name).constructor.__module__
        if fnmatchcase(module.rpartition(".")[2], pattern):
            found.setdefault(module, []).append(name)
    return [_family(module, found[module]) for module in sorted(found)]


def _family(module: str, networks: List[str]) -> Family:
    classes = (registry.lookup("arch", name).constructor.__name__ for name in networks)
    docstring = " ".join((sys.modules[module].__doc__ or "").split())
    return Family(
        name=module.rpartition(".")[2],
        title=", ".join(dict.fromkeys(classes)),
        papers=tuple(_PAPER.findall(docstring)),
        networks=tuple(networks),
    )


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


def family_table(family: Family, words: Words, sources: Sources) -> str:
    """Return the table of a family: a row for each network."""
    head = ["Network", "Input", "Parameters", "Weights (M)", "MACs (G)", "FLOPs (G)"]
    metrics = ["Resize/crop", "Top-1 (%)", "Top-5 (%)", "Source"]
    rows = [[*map(words, head), *(f"*{words(text)}*" for text in metrics)]]
    rows[0] += [f"**{engine} (ms)**" for engine in ENGINES]
    known = family_data.families()[family.name]
    for name in family.networks:
        published, latency = known.networks[name].published, known.networks[name].latency
        rows.append(
            [
                *_computed(name),
                *_published(published, known, sources),
                *(f"**{latency[key]:.1f}**" if key in latency else NOTHING for key in ENGINES),
            ]
        )
    return markdown_table(rows, left=[0, 1, 9])


def _computed(name: str) -> List[str]:
    cost = costs(name)
    shape = "x".join(map(str, cost.input_shape))
    millions = f"{cost.weights / 1e6:.3f}"
    return [name, shape, f"{cost.parameters:,}", millions, _giga(cost.macs), _giga(cost.flops)]


def _giga(count: float) -> str:
    """Three decimals, and of small numbers three digits."""
    return f"{count / 1e9:.3f}" if count >= 1e8 else f"{count / 1e9:.3g}"


def _published(
    publication: Optional[Publication], known: FamilyData, sources: Sources
) -> List[str]:
    if publication is None:
        return [NOTHING] * 4
    size = f"*{publication.resize}/{publication.crop}*"
    accuracy = _percent(publication.top1), _percent(publication.top5)
    return [size, *accuracy, f"*{sources.cite(known.publishers[publication.by].source)}*"]


def _percent(fraction: Optional[float]) -> str:
    return NOTHING if fraction is None else f"*{100 * fraction:.2f}*"


def further_table(family: Family, words: Words, sources: Sources) -> str:
    """Return the table of published weights that are not the first of their network, if any."""
    published = ["Resize/crop", "Top-1 (%)", "Top-5 (%)", "Source"]
    rows = [[words("Weights"), words("Network"), *(f"*{words(text)}*" for text in published)]]
    known = family_data.families()[family.name]
    for name in sorted(known.further_weights, key=network_order):
        weights = known.further_weights[name]
        if weights.network in family.networks:
            rows.append([name, weights.network, *_published(weights, known, sources)])
    return markdown_table(rows, left=[0, 1, 5]) if len(rows) > 1 else ""


def index_table(families: Iterable[Family], words: Words) -> str:
    """Return the table of families, with links to their pages."""
    rows = [[*map(words, ["Page", "Networks", "Parameters (M)", "MACs (G)"])]]
    for family in families:
        found = [costs(name) for name in family.networks]
        millions = _range([cost.parameters / 1e6 for cost in found], "{:.2f}".format, words)
        giga = _range([cost.macs for cost in found], _giga, words)
        link = f"[{family.title}]({family.name}.md)"
        rows.append([link, str(len(family.networks)), millions, giga])
    return markdown_table(rows, left=[0])


def _range(figures: List[float], text: Callable[[float], str], words: Words) -> str:
    ends = dict.fromkeys(text(figure) for figure in (min(figures), max(figures)))
    return f" {words('to')} ".join(ends)


def comparison_table(words: Words) -> str:
    """Return PaddleClas' table of other networks beside what is computed here."""
    accuracy = ["Top-1 (%)", "Top-5 (%)", "Reference top-1 (%)", "Reference top-5 (%)"]
    rows = [[words("Network"), *(f"*{words(text)}*" for text in accuracy)]]
    for text, own in (("FLOPs (G)", "FLOPs (G)"), ("Parameters (M)", "Weights (M)")):
        rows[0] += [f"*{words(text)}*", words(own), words("Difference")]
    for table, name, published in sorted(_compared_networks(), key=lambda item: item[0].row):
        fractions = published.top1, published.top5, table.reference_top1, table.reference_top5
        rows.append([name, *map(_percent, fractions), *_compared(costs(name), table)])
    return markdown_table(rows, left=[0])


def _compared_networks() -> Iterator[Tuple[TableRow, str, Publication]]:
    for name, known in family_data.networks().items():
        if known.table and known.published:
            yield known.table, name, known.published


def _compared(cost: Costs, published: TableRow) -> List[str]:
    cells = []
    pairs = ((published.flops, cost.flops / 1e9), (published.parameters, cost.weights / 1e6))
    for theirs, own in pairs:
        cells += [f"*{theirs:.3f}*", f"{own:.3f}", f"{100 * (own / theirs - 1):+.2f} %"]
    return cells
