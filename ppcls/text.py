"""Text for people: tables in columns, and the order in which they expect names."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Iterator, List, Sequence, Union

_UNPRINTABLE = re.compile(
    "[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)
"""Control characters, changes of direction, and halves of characters."""

Rows = Sequence[Sequence[str]]
Key = List[Union[str, Decimal]]


def natural_key(text: str) -> Key:
    """Sort "2.png" before "10.png"; capital letters come first."""
    return _key(text, r"(\d+)")


def network_order(name: str) -> Key:
    """Sort ResNet18 before ResNet101, and x0_25 before x0_5; 50_32x4d begins with 50."""
    return _key(name.lower(), r"(\d+(?:_\d+(?!\d*x))?)")


def _key(text: str, number: str) -> Key:
    parts = re.split(number, text)
    return [Decimal(part.replace("_", ".")) if i % 2 else part for i, part in enumerate(parts)]


def first_few(names: Sequence[str], count: int = 10) -> str:
    """Return the first names with commas between them, and dots where there are more."""
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def listed_words(words: Sequence[str]) -> str:
    """Return words as a sentence lists them: "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def printable(text: str) -> str:
    """Return a text with escapes for what a terminal would obey or cannot print, besides line
    breaks and tabs.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def megabytes(size: float) -> str:
    """Say a number of bytes as people do: ``97.8 MB``."""
    return f"{size / 1e6:.1f} MB"


def distinct(names: Sequence[str]) -> List[str]:
    """Return the names, with "_2", "_3", ... after those that stood before."""
    before = [names[:index].count(name) for index, name in enumerate(names)]
    return [f"{name}_{count + 1}" if count else name for name, count in zip(names, before)]


def table(rows: Rows, left: Sequence[int]) -> str:
    """Return rows in columns of equal width; those not in `left` are aligned to the right."""
    return "\n".join("  ".join(cells).rstrip() for cells in _padded(rows, left))


def markdown_table(rows: Rows, left: Sequence[int]) -> str:
    """Return a table of Markdown like `table`; the first row is its head."""
    widths = _widths(rows)
    rule = ["-" * w if i in left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    lines = _padded([rows[0], rule, *rows[1:]], left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _padded(rows: Rows, left: Sequence[int]) -> Iterator[List[str]]:
    widths = _widths(rows)
    for row in rows:
        spaces = [" " * (width - _width(cell)) for cell, width in zip(row, widths)]
        pairs = enumerate(zip(row, spaces))
        yield [cell + space if i in left else space + cell for i, (cell, space) in pairs]


def _widths(rows: Rows) -> List[int]:
    return [max(map(_width, column)) for column in zip(*rows)]


def _width(text: str) -> int:
    """Columns on a screen: Chinese characters take two."""
    return sum(2 if "\u2e80" <= character <= "\uffef" else 1 for character in text)


def shown(value: Any, most: int = 200) -> str:
    """Return how Python writes a value, cut to `most` letters."""
    return shortened(repr(value), most)


def shortened(text: str, most: int = 200) -> str:
    """Return a text cut to `most` letters, with dots where there were more."""
    return text if len(text) <= most else f"{text[:most]}..."
