"""Print the tables of networks, as `ppcls zoo` does, or write them into the pages of a clone."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ppcls import runtime  # noqa: E402

runtime.prepare()

from ppcls.arch.family_data import Publication, TableRow, networks  # noqa: E402
from ppcls.arch.summary import Costs  # noqa: E402
from ppcls.commands import latency_tables, model_tables, zoo  # noqa: E402
from ppcls.commands.model_tables import (  # noqa: E402
    PUBLISHED,
    Family,
    Sources,
    Words,
    costs,
    family_table,
    giga,
    percent,
    published_cells,
)
from ppcls.errors import PpclsError, UsageError  # noqa: E402
from ppcls.files import write_text  # noqa: E402
from ppcls.logs import log_to_terminal  # noqa: E402
from ppcls.text import markdown_table, network_order  # noqa: E402

DOCS = ROOT / "docs"
MARK = "<!-- Written by tools/model_zoo.py from the networks and what is known of them. -->"
_BY_HAND = ("README", "speed")
_LANGUAGES = {"en": ("English", "Networks"), "zh_CN": ("简体中文", "网络")}
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
    "Recipes for ImageNet-1k": "ImageNet-1k 训练配置文件",
    "Crop size": "裁剪尺寸",
    "Resize short size": "短边缩放",
    "Batch": "批大小",
    "Machine": "机器",
    "Value": "值",
    "Processor": "处理器",
    "Instructions": "指令集",
    "Cores, threads": "核数, 线程数",
    "Versions": "版本",
    "Load average": "平均负载",
    "Date": "日期",
}
_WORDS: Dict[str, Words] = {"en": str, "zh_CN": _CHINESE.__getitem__}
_PAPER = re.compile(r'[A-Z](?:[^".:;]|et al\.)* (?:19|20)\d\d, "[^"]+"(?:, arXiv:\d{4}\.\d{4,5})?')
"""Authors, year, title in quotes, and number of a paper."""

_log = logging.getLogger("ppcls")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Print, write or check; status 1 when there is no such network or a page differs."""
    parsed = _parser().parse_args(arguments)
    log_to_terminal(results_on_stdout=True)
    try:
        return _run(parsed)
    except PpclsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    zoo.add_arguments(parser)
    action = parser.add_mutually_exclusive_group()
    for option, what in (
        ("--write", "write the pages DOCS/*/models/*.md; a few minutes for all families"),
        ("--check", "compare the pages with what would be written; status 1 if any differs"),
    ):
        action.add_argument(
            option, type=Path, nargs="?", const=DOCS, metavar="DOCS", help=what + " (of this clone)"
        )
    return parser


def _run(arguments: argparse.Namespace) -> int:
    folder = arguments.write or arguments.check
    families = model_tables.find_families(arguments.family, arguments.model)
    if folder is None or not families:
        return zoo.run(arguments)
    if arguments.model != "*":
        raise UsageError("a page shows a whole family: choose with --family instead of --model")
    _refuse_other_folders(folder)
    pages = _pages(folder, families, complete=arguments.family == "*")
    return _check(folder, pages) if arguments.check else _write(folder, pages)


def _refuse_other_folders(folder: Path) -> None:
    """Say before the long calculation that its pages do not belong there."""
    for file in (_place(folder, one, name) for one in _LANGUAGES for name in _BY_HAND):
        if not file.is_file():
            raise UsageError(
                f"there is no {file}: the pages are written around those of a clone, so give its "
                "folder `docs`"
            )


def _place(folder: Path, language: str, name: str) -> Path:
    return folder / language / "models" / f"{name}.md"


# --- the pages -----------------------------------------------------------------------------------


def _pages(folder: Path, families: List[Family], complete: bool) -> Dict[Path, str]:
    """Return the text of every page: families, and if these are all, the lists of them."""
    pages = {}
    for number, family in enumerate(families, 1):
        names = ", ".join(family.networks)
        _log.info("%d of %d: %s: %s", number, len(families), family.title, names)
        for language in _LANGUAGES:
            pages[_place(folder, language, family.name)] = _page(family, language)
    for language in _LANGUAGES if complete else ():
        file, speed = (_place(folder, language, name) for name in ("README", "speed"))
        pages[file] = _index(file, families, language)
        pages[speed] = _speed(speed, language)
    return pages


def _page(family: Family, language: str) -> str:
    words, sources = _WORDS[language], Sources()
    other = next(name for name in _LANGUAGES if name != language)
    translation = f"[{_LANGUAGES[other][0]}](../../{other}/models/{family.name}.md)"
    table = family_table(family, sources, words)
    further, links = further_table(family, sources, words), ", ".join(recipe_links(family))
    parts = [
        MARK,
        f"# {family.title}",
        f"{translation} · [{_LANGUAGES[language][1]}](README.md)",
        "\n".join(f"- {_linked(paper)}" for paper in papers(family)),
        table,
        f"## {words('Further published weights')}\n\n{further}" if further else "",
        f"## {words('Recipes for ImageNet-1k')}\n\n{links}" if links else "",
        sources.definitions(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def recipe_links(family: Family) -> List[str]:
    """Return a link to the recipe of each network that has one, from the family's page."""
    files = {
        file.stem: file.relative_to(ROOT) for file in (ROOT / "configs/ImageNet").rglob("*.yaml")
    }
    return [f"[{name}](../../../{files[name]})" for name in family.networks if name in files]


def papers(family: Family) -> List[str]:
    """Return those that the docstring of the family's file cites."""
    module = sys.modules[f"ppcls.arch.backbone.{family.name}"]
    return _PAPER.findall(" ".join((module.__doc__ or "").split()))


def _linked(paper: str) -> str:
    """Link the arXiv numbers of a reference."""
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[\g<0>](https://arxiv.org/abs/\1)", paper)


def _index(file: Path, families: List[Family], language: str) -> str:
    """Return the page of all families, which is written by hand, with its tables made again."""
    words, text = _WORDS[language], file.read_text("utf-8")
    text = _with_table(text, "families", index_table(families, words), file)
    return _with_table(text, "comparison", comparison_table(words), file)


def _speed(file: Path, language: str) -> str:
    """Return the page of latencies, which is written by hand, with its tables made again."""
    words, text = _WORDS[language], file.read_text("utf-8")
    for name in ("v100", "t4", "engines", "machine"):
        text = _with_table(text, name, getattr(latency_tables, f"{name}_table")(words), file)
    return text


def _with_table(text: str, marker: str, table: str, file: Path) -> str:
    """Replace the table below the comment ``<!-- marker -->``."""
    place = re.compile(rf"(<!-- {marker} -->\n)\n*(?:\|.*\n)*\n*")
    if not place.search(text):
        raise UsageError(f"{file} has no line '<!-- {marker} -->', below which a table belongs")
    return place.sub(lambda found: f"{found[1]}\n{table}\n\n", text)


# --- tables that stand in pages only -------------------------------------------------------------


def further_table(family: Family, sources: Sources, words: Words) -> str:
    """Return the table of published weights that are not the first of their network, if any."""
    rows = [[words("Weights"), words("Network"), *(f"*{words(text)}*" for text in PUBLISHED)]]
    known = family.data.further_weights
    for name in sorted(known, key=network_order):
        rows.append([name, known[name].network, *published_cells(known[name], family, sources)])
    return markdown_table(rows, left=[0, 1, 5]) if known else ""


def index_table(families: Iterable[Family], words: Words) -> str:
    """Return the table of families, with links to their pages."""
    rows = [[*map(words, ["Page", "Networks", "Parameters (M)", "MACs (G)"])]]
    for family in families:
        found = [costs(name) for name in family.networks]
        millions = [f"{count / 1e6:.2f}" for count in _ends([cost.parameters for cost in found])]
        macs = map(giga, _ends([cost.macs for cost in found]))
        ranges = (f" {words('to')} ".join(dict.fromkeys(ends)) for ends in (millions, macs))
        link = f"[{family.title}]({family.name}.md)"
        rows.append([link, str(len(family.networks)), *ranges])
    return markdown_table(rows, left=[0])


def _ends(numbers: List[int]) -> Tuple[int, int]:
    return min(numbers), max(numbers)


def comparison_table(words: Words) -> str:
    """Return PaddleClas' table of other networks beside what is computed here."""
    metrics = ["Top-1 (%)", "Top-5 (%)", "Reference top-1 (%)", "Reference top-5 (%)"]
    rows = [[words("Network"), *(f"*{words(text)}*" for text in metrics)]]
    for text, own in (("FLOPs (G)", "FLOPs (G)"), ("Parameters (M)", "Weights (M)")):
        rows[0] += [f"*{words(text)}*", words(own), words("Difference")]
    for table, name, published in sorted(compared(), key=lambda item: item[0].row):
        fractions = published.top1, published.top5, table.reference_top1, table.reference_top5
        rows.append([name, *map(percent, fractions), *_differences(costs(name), table)])
    return markdown_table(rows, left=[0])


def compared() -> Iterator[Tuple[TableRow, str, Publication]]:
    """Yield the networks of PaddleClas' table: its row, the name, and what was published."""
    for name, known in networks().items():
        if known.table and known.published:
            yield known.table, name, known.published


def _differences(cost: Costs, published: TableRow) -> List[str]:
    cells = []
    pairs = ((published.flops, cost.flops / 1e9), (published.parameters, cost.weights / 1e6))
    for theirs, own in pairs:
        cells += [f"*{theirs:.3f}*", f"{own:.3f}", f"{100 * (own / theirs - 1):+.2f} %"]
    return cells


# --- writing and checking ------------------------------------------------------------------------


def _write(folder: Path, pages: Dict[Path, str]) -> int:
    for file, text in pages.items():
        write_text(file, text)
    for file in _leftover(folder, pages):
        file.unlink()
    print(f"{len(pages)} pages written in {folder}")
    return 0


def _check(folder: Path, pages: Dict[Path, str]) -> int:
    stale = [(file, "differs") for file, text in pages.items() if not _holds(file, text)]
    stale += [(file, "is of no family") for file in _leftover(folder, pages)]
    for file, what in stale:
        print(f"{file} {what}")
    if stale:
        print(f"`python tools/model_zoo.py --write {folder}` brings the pages up to date")
    return 1 if stale else 0


def _holds(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text("utf-8") == text


def _leftover(folder: Path, pages: Dict[Path, str]) -> List[Path]:
    """Return the pages that were written for families that are there no more."""
    if _place(folder, "en", "README") not in pages:
        return []
    found = [
        file for language in _LANGUAGES for file in (folder / language / "models").glob("*.md")
    ]
    return [file for file in found if file not in pages and _is_ours(file)]


def _is_ours(file: Path) -> bool:
    return file.read_text("utf-8").startswith(MARK)


if __name__ == "__main__":
    sys.exit(main())
