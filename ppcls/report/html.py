"""HTML that nothing in it can break: all text is escaped unless it is HTML already."""

from __future__ import annotations

import html
from typing import Any, Iterable, Union

from ppcls.report.words import LANGUAGES, WORDS
from ppcls.text import printable


class Html(str):
    """Text that is HTML already."""


Inside = Union[str, Iterable[str], None]

_VOID = {"img", "input", "meta", "br"}


def escaped(text: str) -> Html:
    """Return text as HTML; what is HTML already stays as it is."""
    return text if isinstance(text, Html) else Html(html.escape(printable(str(text)), quote=True))


def concatenated(parts: Iterable[str]) -> Html:
    """Return HTML one after the other."""
    return Html("".join(escaped(part) for part in parts))


def element(tag: str, *inside: Inside, **attributes: Any) -> Html:
    """Return an element.

    Args:
        tag: its name.
        inside: texts, HTML, or lists of them; None is nothing.
        attributes: by name; `class_` and the like without the underscore at the end, other
            underscores are hyphens. True stands for an attribute without a value; None and False
            leave it out.
    """
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    words = [
        f" {key}" if value is True else f' {key}="{escaped(str(value))}"'
        for key, value in named.items()
        if value is not None and value is not False
    ]
    start = f"<{tag}{''.join(words)}>"
    return Html(start) if tag in _VOID else Html(f"{start}{_content(inside)}</{tag}>")


def _content(inside: Iterable[Inside]) -> str:
    parts = [[one] if isinstance(one, str) else list(one or []) for one in inside]
    return "".join(escaped(text) for part in parts for text in part)


def said(key: str, **values: object) -> Html:
    """Return words of `ppcls.report.words` in every language, of which the page shows one.

    Args:
        key: of the words.
        values: what stands in their braces; it is escaped.
    """
    safe = {name: escaped(str(value)) for name, value in values.items()}
    return concatenated(
        element("span", Html(escaped(words).format(**safe)), class_=language, lang=language)
        for language, words in zip(LANGUAGES, WORDS[key])
    )
