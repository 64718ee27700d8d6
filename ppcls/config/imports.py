"""`Global.imports`: the files and packages with parts of a user's own, imported before the names of
parts are checked.

Only files are obeyed. A mapping may have come out of a weight file or a checkpoint, whose maker is
not the user: there it is an error to name what has not been imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Sequence

from ppcls.config.document import Document, Place
from ppcls.config.schema import describe
from ppcls.errors import ConfigError
from ppcls.own_parts import import_part, is_imported
from ppcls.text import shortened

_KEY = ("Global", "imports")


def add_imports(document: Document, names: Sequence[str]) -> None:
    """Add what the command line names to `Global.imports`, so that the run keeps a note of it."""
    if not names:
        return
    section = document.data.setdefault("Global", {})
    if not isinstance(section, dict):
        return  # the schema says what is wrong with it
    found = section.get("imports") or []
    if isinstance(found, list):
        new = [name for name in names if name not in found]
        section["imports"] = [*found, *new]
        for index, name in enumerate(new, len(found)):
            document.put((*_KEY, index), Place(f"--import {shortened(name)}"))


def run_imports(document: Document, folder: Path) -> None:
    """Import what `Global.imports` names, where it is as the schema wants it.

    Args:
        document: a recipe.
        folder: where its file stands.

    Raises:
        ConfigError: importing fails; the message begins with the place of the name.
    """
    for index, name in enumerate(_names(document)):
        try:
            import_part(name, folder)
        except ConfigError as error:
            where = describe(document, (*_KEY, index))
            raise ConfigError(f"{where}: {error}") from None


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


def _names(document: Document) -> List[str]:
    section: Any = document.data.get("Global")
    found = section.get("imports") if isinstance(section, dict) else None
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
