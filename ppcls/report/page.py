"""The report as one HTML file that needs nothing else: no script, no font, no picture from
outside.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Dict, List

from ppcls.report.html import Html, concatenated, element, said
from ppcls.report.words import LANGUAGES, NAMES

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What the page may load: nothing. Text that got through as HTML could do no harm."""


def page_of(
    title: str, sections: Dict[str, List[Html]], language: str, made: str, version: str
) -> str:
    """Return the page.

    Args:
        title: the name of the run.
        sections: see `Sections.all`.
        language: which of `LANGUAGES` is shown at first.
        made: when, for people.
        version: of the toolkit.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} - ppcls report"),
        element("style", _style()),
    )
    body = element(
        "body",
        _switch(language),
        element("header", element("h1", said("title", title=title))),
        _contents(list(sections)),
        element("main", [_section(key, rows) for key, rows in sections.items()]),
        element("footer", said("made", when=made, version=version)),
    )
    return f"<!doctype html>\n{element('html', head, body, lang=language)}\n"


def _style() -> Html:
    return Html(files("ppcls.report").joinpath("style.css").read_text("utf-8"))


def _switch(language: str) -> Html:
    """Return a choice of language that works without a script: the style sheet looks at it."""
    parts = []
    for name in LANGUAGES:
        given = {"type": "radio", "name": "language", "id": f"language-{name}"}
        parts.append(element("input", class_="language", checked=name == language, **given))
        parts.append(element("label", NAMES[name], for_=given["id"], lang=name))
    return concatenated(parts)


def _contents(keys: List[str]) -> Html:
    items = [element("li", element("a", said(key), href=f"#{key}")) for key in keys]
    return element("nav", element("ul", items), aria_label="Contents / 目录")


def _section(key: str, rows: List[Html]) -> Html:
    return element("section", element("h2", said(key)), rows, id=key)
