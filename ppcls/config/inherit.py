"""Inheritance between configuration files, and overrides from the command line.

``_base_: ../_base_/imagenet.yaml`` (or a list, later ones winning) is read first, relative to the
file that names it or from the recipes that come with the package; the file then states only what
differs. Mappings are merged key by key, lists are replaced whole, and a mapping whose ``name``
changes is replaced whole, because the arguments of one part mean nothing to another.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple

import yaml

from ppcls.config.document import Document, KeyPath, Place, parse_value, read_document
from ppcls.errors import ConfigError, did_you_mean

BASE_KEY = "_base_"


def resolve(path: Path, overrides: Sequence[str] = ()) -> Document:
    """Read a file with everything it inherits and apply `overrides` of the form ``a.b.0.c=value``.

    Raises:
        ConfigError: a file cannot be read, files inherit in a circle, or an override names no
            place.
    """
    document = _read(path, ())
    for text in overrides:
        apply_override(document, text)
    return document


def _read(path: Path, chain: Tuple[Path, ...]) -> Document:
    if path.resolve() in chain:
        names = " -> ".join(str(item) for item in (*chain, path.resolve()))
        raise ConfigError(f"{path}: configuration files inherit in a circle: {names}")
    document = read_document(path)
    place = document.place((BASE_KEY,))
    merged = Document({}, {})
    for base in _bases(document, place):
        base_path = _base_path(path.parent, base)
        if base_path is None:
            raise ConfigError(
                f"{place}: {BASE_KEY}: there is no file {path.parent / base}, nor a recipe {base}"
            )
        _merge(merged, _read(base_path, (*chain, path.resolve())))
    document.forget((BASE_KEY,))
    _merge(merged, document)
    return merged


def _base_path(folder: Path, base: str) -> Optional[Path]:
    """Return the file beside the one that names it, or else the recipe of that name that comes with
    the package.
    """
    candidates = [folder / base, *(home / base for home in recipe_homes())]
    return next((path for path in candidates if path.is_file()), None)


def recipe_homes() -> List[Path]:
    """Return where recipes are: in an installed package, and in a clone."""
    package = Path(__file__).resolve().parents[1]
    return [home for home in (package / "configs", package.parent / "configs") if home.is_dir()]


def _bases(document: Document, place: Any) -> List[str]:
    bases = document.data.pop(BASE_KEY, [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise ConfigError(f"{place}: {BASE_KEY}: expected a path or a list of paths, got {bases!r}")
    return bases


def _merge(target: Document, extra: Document, path: KeyPath = ()) -> None:
    mine, theirs = _at(target.data, path), _at(extra.data, path)
    if path in extra.places:
        target.places[path] = extra.places[path]
    for key, value in theirs.items():
        below = (*path, key)
        if _mergeable(mine.get(key), value):
            _merge(target, extra, below)
        else:
            mine[key] = copy.deepcopy(value)
            target.adopt(below, extra.places)


def _mergeable(old: Any, new: Any) -> bool:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return False
    return "name" not in new or old.get("name") in (None, new["name"])


def apply_override(document: Document, text: str) -> None:
    """Apply ``a.b.0.c=value``: values are read as YAML, list items are named by their index from 0.

    ``~a.b`` removes a key.

    Raises:
        ConfigError: the text has no ``=``, a list index does not exist, or the path leads through a
            plain value.
    """
    place = Place(f"-o {text}")
    if text.startswith("~"):
        _remove(document, tuple(text[1:].split(".")), place)
        return
    dotted, equals, value = text.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"{place}: expected KEY=VALUE, for example -o Global.epochs=10")
    path = _walk(document, dotted.strip().split("."), place)
    try:
        parsed = parse_value(value)
    except yaml.YAMLError:
        raise ConfigError(
            f"{place}: the value is not valid YAML; quote it: {dotted}='\"...\"'"
        ) from None
    _at(document.data, path[:-1])[path[-1]] = parsed
    document.forget(path)
    document.places[path] = place


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
        raise ConfigError(f"{place}: '{dotted}' is the value {here!r} and has no '{text}' inside")
    if not text.isdigit() or int(text) >= len(here):
        names = ", ".join(f"{i}: {_item_name(item)}" for i, item in enumerate(here))
        raise ConfigError(
            f"{place}: '{dotted}' is a list; name one of its items by index ({names})"
        )
    return int(text)


def _item_name(item: Any) -> str:
    return str(next(iter(item))) if isinstance(item, dict) and item else repr(item)


def _remove(document: Document, keys: Tuple[str, ...], place: Place) -> None:
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
