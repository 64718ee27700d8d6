"""``ppcls zoo``: print the tables of networks, or write them into the documents."""

from __future__ import annotations

import argparse
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List

from ppcls import runtime
from ppcls.errors import UsageError
from ppcls.files import write_text

if TYPE_CHECKING:
    from ppcls.commands.model_tables import Family


_DOCS = Path(__file__).resolve().parents[2] / "docs"
_MARK = "<!-- Written by tools/model_zoo.py from the networks and what is known of them. -->"
_LANGUAGES = {"en": ("English", "Networks"), "zh_CN": ("简体中文", "网络")}
_log = logging.getLogger("ppcls")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--family", default="*", metavar="PATTERN", help="a file of networks, such as 'resnet'"
    )
    parser.add_argument(
        "--model", default="*", metavar="PATTERN", help="networks, such as '*Res*'; printed only"
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--write",
        type=Path,
        nargs="?",
        const=_DOCS,
        metavar="DOCS",
        help="write the pages DOCS/en/models/*.md and DOCS/zh_CN/models/*.md; without DOCS, of "
        "this clone; a few minutes for all families",
    )
    action.add_argument(
        "--check",
        type=Path,
        nargs="?",
        const=_DOCS,
        metavar="DOCS",
        help="compare the pages with what would be written; status 1 if any differs",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print, write or check; status 1 when there is no such network or a page differs."""
    runtime.prepare()
    from ppcls.commands.model_tables import find_families

    families = find_families(arguments.family, arguments.model)
    if not families:
        print(f"no network matches '{arguments.model}' of family '{arguments.family}'")
        return 1
    folder = arguments.write or arguments.check
    if folder is None:
        return _print(families)
    if arguments.model != "*":
        raise UsageError("a page shows a whole family: choose with --family instead of --model")
    _refuse_other_folders(folder)
    pages = _pages(folder, families, complete=arguments.family == "*")
    return _check(folder, pages) if arguments.check else _write(folder, pages)


def _refuse_other_folders(folder: Path) -> None:
    """Say before the long calculation that its pages do not belong there."""
    lists = [_place(folder, language, "README") for language in _LANGUAGES]
    for file in lists:
        if not file.is_file():
            raise UsageError(
                f"there is no {file}: the pages are written around those of a clone, so give its "
                "folder `docs`"
            )


def _print(families: List[Family]) -> int:
    from ppcls.commands.model_tables import WORDS, Sources, family_table

    sources = Sources()
    for family in families:
        print(f"{family.title}\n\n{family_table(family, WORDS['en'], sources)}\n", flush=True)
    print(sources.definitions())
    return 0


def _pages(folder: Path, families: List[Family], complete: bool) -> Dict[Path, str]:
    """Return the text of every page: families, and if these are all, the lists of them."""
    pages = {}
    for number, family in enumerate(families, 1):
        networks = ", ".join(family.networks)
        _log.info("%d of %d: %s: %s", number, len(families), family.title, networks)
        for language in _LANGUAGES:
            pages[_place(folder, language, family.name)] = _page(family, language)
    for language in _LANGUAGES if complete else ():
        file = _place(folder, language, "README")
        pages[file] = _index(file, families, language)
    return pages


def _place(folder: Path, language: str, name: str) -> Path:
    return folder / language / "models" / f"{name}.md"


def _page(family: Family, language: str) -> str:
    from ppcls.commands.model_tables import WORDS, Sources, family_table, further_table

    words, sources = WORDS[language], Sources()
    other = next(name for name in _LANGUAGES if name != language)
    translation = f"[{_LANGUAGES[other][0]}](../../{other}/models/{family.name}.md)"
    papers = "\n".join(f"- {_linked(paper)}" for paper in family.papers)
    table = family_table(family, words, sources)
    further = further_table(family, words, sources)
    parts = [
        _MARK,
        f"# {family.title}",
        f"{translation} · [{_LANGUAGES[language][1]}](README.md)",
        papers,
        table,
        f"## {words('Further published weights')}\n\n{further}" if further else "",
        sources.definitions(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _linked(paper: str) -> str:
    """Link the arXiv numbers of a reference."""
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[\g<0>](https://arxiv.org/abs/\1)", paper)


def _index(file: Path, families: List[Family], language: str) -> str:
    """Return the page of all families, which is written by hand, with its tables made anew."""
    from ppcls.commands.model_tables import WORDS, comparison_table, index_table

    text = file.read_text("utf-8")
    text = _with_table(text, "families", index_table(families, WORDS[language]), file)
    return _with_table(text, "comparison", comparison_table(WORDS[language]), file)


def _with_table(text: str, marker: str, table: str, file: Path) -> str:
    """Replace the table below the comment ``<!-- marker -->``."""
    place = re.compile(rf"(<!-- {marker} -->\n)\n*(?:\|.*\n)*\n*")
    if not place.search(text):
        raise UsageError(f"{file} has no line '<!-- {marker} -->', below which a table belongs")
    return place.sub(lambda found: f"{found[1]}\n{table}\n\n", text)


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
    return file.read_text("utf-8").startswith(_MARK)
