"""Text for people: tables in columns, and the order in which they expect names."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Iterator, List, Optional, Sequence, Union

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


def is_whole_number(word: str) -> bool:
    """Whether a word is decimal digits, of a number that fits into 64 bits; Python refuses to read
    those of thousands of digits.
    """
    return word.isdecimal() and len(word) <= 18


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


def duration(seconds: float) -> str:
    """Say a time as people do: ``0.42 s``, ``25 s``, ``12 min``, ``5.3 h``."""
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


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


_HEIGHTS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_HEIGHTS_IN_ASCII = str.maketrans(_HEIGHTS, "_.-~=+*#")


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Draw values as a row of bars, the lowest for the smallest: where there are more than `width`,
    each bar is the mean of some. Values that are not finite are left out, or leave a gap.
    """
    groups = min(width, len(values))
    edges = [i * len(values) // groups for i in range(groups + 1)] if groups else []
    means = [_finite_mean(values[start:end]) for start, end in zip(edges, edges[1:])]
    finite = [mean for mean in means if mean is not None]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    span, most = high - low or 1.0, len(_HEIGHTS) - 1
    return "".join(
        " " if mean is None else _HEIGHTS[round((mean - low) / span * most)] for mean in means
    )


def _finite_mean(values: Sequence[float]) -> Optional[float]:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


def encodable(text: str, encoding: Optional[str]) -> str:
    """Return a text as a stream of that encoding can write it: bars in ASCII where it has none."""
    try:
        text.encode(encoding or "ascii")
        return text
    except UnicodeEncodeError:
        plain = text.translate(_HEIGHTS_IN_ASCII)
        return plain.encode(encoding or "ascii", "backslashreplace").decode(encoding or "ascii")


def shown(value: Any, most: int = 200) -> str:
    """Return how Python writes a value, cut to `most` letters."""
    return shortened(repr(value), most)


def shortened(text: str, most: int = 200) -> str:
    """Return a text cut to `most` letters, with dots where there were more."""
    return text if len(text) <= most else f"{text[:most]}..."
