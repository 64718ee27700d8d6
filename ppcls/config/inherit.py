"""Inheritance between configuration files, and overrides from the command line.

``_base_: ../_base_/imagenet.yaml`` (or a list, later ones winning) is read first, relative to the
file that names it or from the recipes that come with the package; the file then states only what
differs. Mappings are merged key by key, lists are replaced whole, and a mapping whose ``name``
changes is replaced whole, because the arguments of one part mean nothing to another.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ppcls.config.document import Document, KeyPath, Place, read_document
from ppcls.errors import ConfigError, did_you_mean
from ppcls.text import shortened, shown
from ppcls.yaml_text import MOST_DEPTH, MOST_VALUES, parse_value

BASE_KEY = "_base_"

_SHOWN = 50
"""How many items of a list a message names."""


def resolve(path: Path, overrides: Sequence[str] = ()) -> Document:
    """Read a file with everything it inherits and apply `overrides` of the form ``a.b.0.c=value``.

    Raises:
        ConfigError: a file cannot be read, files inherit in a circle or too much, or an override
            names no place.
    """
    document = _Reader().read(path, ())
    for text in overrides:
        apply_override(document, text)
    return document


class _Reader:
    """Reads files with what they inherit: each file once, however many name it."""

    def __init__(self) -> None:
        self._known: Dict[Path, Document] = {}
        self._merged = 0

    def read(self, path: Path, chain: Tuple[Path, ...]) -> Document:
        """Return a file with everything it inherits; `chain` are those that inherit it."""
        if path.resolve() in chain:
            names = " -> ".join(str(item) for item in (*chain, path.resolve()))
            raise ConfigError(f"{path}: configuration files inherit in a circle: {names}")
        if len(chain) == MOST_DEPTH:
            raise ConfigError(f"{path}: more than {MOST_DEPTH} files inherit from each other")
        # A link to a file inherits from where the link is.
        key = path.parent.resolve() / path.name
        if key not in self._known:
            self._known[key] = self._with_bases(path, (*chain, path.resolve()))
        return self._known[key]

    def _with_bases(self, path: Path, chain: Tuple[Path, ...]) -> Document:
        document = read_document(path)
        place = document.place((BASE_KEY,))
        merged = Document({})
        for base in _bases(document, place):
            base_path = _base_path(path.parent, base)
            if base_path is None:
                raise ConfigError(
                    f"{place}: {BASE_KEY}: there is no file {shortened(str(path.parent / base))}, "
                    f"nor a recipe {shortened(base)}"
                )
            self._merge(merged, self.read(base_path, chain), place)
        document.forget((BASE_KEY,))
        self._merge(merged, document, place)
        return merged

    def _merge(self, target: Document, extra: Document, place: Optional[Place]) -> None:
        self._merged += extra.count()
        if self._merged > MOST_VALUES:
            raise ConfigError(
                f"{place}: {BASE_KEY}: a configuration and all that it inherits have at most "
                f"{MOST_VALUES:,} values"
            )
        _merge(target, extra)


def _base_path(folder: Path, base: str) -> Optional[Path]:
    """Return the file beside the one that names it, or else the recipe of that name that comes with
    the package.
    """
    candidates = [folder / base, *(home / base for home in recipe_homes())]
    # Path.is_file raises where a name is too long.
    return next((path for path in candidates if os.path.isfile(path)), None)


def recipe_homes() -> List[Path]:
    """Return where recipes are: in an installed package, and in a clone."""
    package = Path(__file__).resolve().parents[1]
    return [home for home in (package / "configs", package.parent / "configs") if home.is_dir()]


def _bases(document: Document, place: Any) -> List[str]:
    bases = document.data.pop(BASE_KEY, [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise ConfigError(
            f"{place}: {BASE_KEY}: expected a path or a list of paths, got {shown(bases)}"
        )
    return bases


def _merge(target: Document, extra: Document, path: KeyPath = ()) -> None:
    mine, theirs = _at(target.data, path), _at(extra.data, path)
    place = extra.own_place(path)
    if place:
        target.put(path, place)
    for key, value in theirs.items():
        below = (*path, key)
        if _mergeable(mine.get(key), value):
            _merge(target, extra, below)
        else:
            mine[key] = copied(value)
            target.adopt(below, extra)


def copied(value: Any) -> Any:
    """Return mappings and lists of which none stands in two places, as aliases make them."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def _mergeable(old: Any, new: Any) -> bool:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return False
    return "name" not in new or old.get("name") in (None, new["name"])


def apply_override(document: Document, text: str) -> None:
    """Apply ``a.b.0.c=value``: values are read as YAML, list items are named by their index from 0.

    ``~a.b`` removes a key; ``a.b=None`` is ``a.b=null``, as for PaddleClas.

    Raises:
        ConfigError: the text has no ``=``, a list index does not exist, the path leads through a
            plain value, or the value is not YAML.
    """
    place = Place(f"-o {shortened(text)}")
    if text.startswith("~"):
        _remove(document, _keys(text[1:], place), place)
        return
    dotted, equals, value = text.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"{place}: expected KEY=VALUE, for example -o Global.epochs=10")
    path = _walk(document, _keys(dotted.strip(), place), place)
    try:
        parsed = None if value == "None" else parse_value(value)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error} (in quotes: {shortened(dotted)}='\"...\"')") from None
    _at(document.data, path[:-1])[path[-1]] = copied(parsed)
    document.forget(path)
    document.put(path, place)


def _keys(dotted: str, place: Place) -> List[str]:
    keys = dotted.split(".")
    if "" in keys:
        raise ConfigError(f"{place}: a key between the dots is empty; write a.b.0.c=VALUE")
    if len(keys) > MOST_DEPTH:
        raise ConfigError(f"{place}: at most {MOST_DEPTH} keys lead to a value")
    return keys


def _walk(document: Document, keys: Sequence[str], place: Place) -> KeyPath:
    """Return the key path that `keys` name, making the mappings on the way that do not exist
    yet.
    """
    path: KeyPath = ()
    for i, text in enumerate(keys):
        here = _at(document.data, path)
        key = _child_key(here, text, ".".join(keys[:i]), place)
        path = (*path, key)
        if i < len(keys) - 1 and isinstance(here, dict) and here.get(key) is None:
            here[key] = {}
    return path


def _child_key(here: Any, text: str, dotted: str, place: Place) -> Any:
    if isinstance(here, dict):
        return text
    if not isinstance(here, list):
        value, text = shown(here), shortened(text)
        raise ConfigError(f"{place}: '{dotted}' is the value {value} and has no '{text}' inside")
    index = int(text) if re.fullmatch("[0-9]{1,9}", text) else len(here)
    if index >= len(here):
        names = ", ".join(f"{i}: {_item_name(item)}" for i, item in enumerate(here[:_SHOWN]))
        more = ", ..." if len(here) > _SHOWN else ""
        raise ConfigError(
            f"{place}: '{dotted}' is a list; name one of its items by index ({names}{more})"
        )
    return index


def _item_name(item: Any) -> str:
    is_part = isinstance(item, dict) and item
    return shortened(str(next(iter(item)))) if is_part else shown(item, 60)


def _remove(document: Document, keys: Sequence[str], place: Place) -> None:
    path = _walk(document, keys, place)
    here = _at(document.data, path[:-1])
    if isinstance(here, list):
        raise ConfigError(f"{place}: only keys can be removed; give the whole list instead")
    if path[-1] not in here:
        hint = did_you_mean(str(path[-1]), map(str, here))
        raise ConfigError(f"{place}: there is no such key to remove.{hint}")
    del here[path[-1]]
    document.forget(path)


def _at(data: Any, path: KeyPath) -> Any:
    for key in path:
        data = data[key]
    return data
