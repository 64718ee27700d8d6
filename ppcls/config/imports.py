"""`Global.imports`: the files and packages with parts of a user's own, imported before the names of
parts are checked.

Only files are obeyed. A mapping may have come out of a weight file or a checkpoint, whose maker is
not the user: there it is an error to name what has not been imported.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Iterator, List, Sequence

from ppcls.config.document import Document, Place
from ppcls.config.schema import describe
from ppcls.errors import ConfigError
from ppcls.own_parts import import_part, is_imported
from ppcls.text import shortened

_KEY = ("Global", "imports")


def add_imports(document: Document, names: Sequence[str]) -> None:
    """Import what the command line names, and add it to `Global.imports`: the run keeps a note.

    Raises:
        ConfigError: importing fails.
    """
    for name in names:
        place = Place(f"--import {shortened(name)}")
        with _naming(str(place)):
            import_part(name)
        _note(document, name, place)


def _note(document: Document, name: str, place: Place) -> None:
    section = document.data.setdefault("Global", {})
    found = (section.get("imports") or []) if isinstance(section, dict) else None
    if isinstance(found, list) and name not in found:  # else the schema says what is wrong
        document.put((*_KEY, len(found)), place)
        section["imports"] = [*found, name]


def run_imports(document: Document, folder: Path) -> None:
    """Import what `Global.imports` names, where it is as the schema wants it.

    Args:
        document: a recipe.
        folder: where its file stands.

    Raises:
        ConfigError: importing fails; the message begins with the place of the name.
    """
    for index, name in enumerate(_names(document)):
        with _naming(describe(document, (*_KEY, index))):
            import_part(name, folder)


def refuse_imports(document: Document) -> None:
    """Make sure that what may be a stranger's names only what has been imported before.

    Raises:
        ConfigError: it names something else.
    """
    for index, name in enumerate(_names(document)):
        if not is_imported(name):
            raise ConfigError(
                f"{describe(document, (*_KEY, index))}: {shortened(name)} is code, which is not "
                "run here, as it may be a stranger's: only a recipe that you name with -c, or "
                "whose path a function is given, imports what it names. If this is yours, import "
                "it before: "
                f"ppcls.import_parts(['{shortened(name)}'])"
            )


@contextlib.contextmanager
def _naming(where: str) -> Iterator[None]:
    """Put a place in front of an error's text."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _names(document: Document) -> List[str]:
    section: Any = document.data.get("Global")
    found = section.get("imports") if isinstance(section, dict) else None
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
