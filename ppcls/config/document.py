"""YAML files read with the place of every value, so that each message can name file and line.

A key that is written twice in one mapping of a file is an error.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import yaml
from yaml.constructor import ConstructorError

from ppcls.errors import ConfigError
from ppcls.text import shortened
from ppcls.yaml_text import MERGE_TAG, SafeLoader, loading, read_text

KeyPath = Tuple[Any, ...]


@dataclass(frozen=True)
class Place:
    """Where a value was written: a file with its line (counted from 1), or a command-line
    override.
    """

    source: str
    line: Optional[int] = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass
class _Written:
    """Where a value was written, and the values inside it: a tree of the form of the data."""

    place: Optional[Place] = None
    inside: Dict[Any, _Written] = field(default_factory=dict)

    def find(self, path: KeyPath) -> Optional[_Written]:
        """Return what stands at `path`."""
        found: Optional[_Written] = self
        for key in path:
            found = found.inside.get(key) if found else None
        return found

    def reach(self, path: KeyPath) -> _Written:
        """Return what stands at `path`, made where there is nothing."""
        found = self
        for key in path:
            found = found.inside.setdefault(key, _Written())
        return found

    def copy(self) -> _Written:
        """Return the same places, which can be changed on their own."""
        return _Written(self.place, {key: item.copy() for key, item in self.inside.items()})

    def count(self) -> int:
        """Return the number of values, this one included."""
        return 1 + sum(item.count() for item in self.inside.values())


@dataclass
class Document:
    """Plain data of a YAML file, and the place of every key path in it."""

    data: Dict[str, Any]
    _root: _Written = field(default_factory=_Written)

    def place(self, path: KeyPath) -> Optional[Place]:
        """Return where `path` was written, or the nearest mapping or list around it."""
        found: Optional[_Written] = self._root
        nearest = self._root.place
        for key in path:
            found = found.inside.get(key) if found else None
            nearest = (found and found.place) or nearest
        return nearest

    def own_place(self, path: KeyPath) -> Optional[Place]:
        """Return where `path` itself was written; None if it was not."""
        found = self._root.find(path)
        return found.place if found else None

    def order(self, path: KeyPath) -> Tuple[str, int]:
        """Return what messages on values are sorted by: the file, and the line in it."""
        place = self.place(path)
        return (place.source, place.line or 0) if place else ("", 0)

    def put(self, path: KeyPath, place: Optional[Place]) -> None:
        """Note that the value at `path` was written at `place`."""
        self._root.reach(path).place = place

    def forget(self, path: KeyPath) -> None:
        """Drop the places of everything at and below `path`."""
        home = self._root.find(path[:-1])
        if home:
            home.inside.pop(path[-1], None)

    def adopt(self, path: KeyPath, other: Document) -> None:
        """Take over the places of everything at and below `path` from another document."""
        self.forget(path)
        theirs = other._root.find(path)
        if theirs:
            self._root.reach(path[:-1]).inside[path[-1]] = theirs.copy()

    def copy(self) -> Document:
        """Return the same data with the same places, which can be changed on their own."""
        return Document(copy.deepcopy(self.data), self._root.copy())

    def count(self) -> int:
        """Return how many values were written."""
        return self._root.count()


def read_document(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        ConfigError: as `read_value`; or the file is not a mapping, or repeats a key.
    """
    source = str(path)
    with loading(read_text(path), source) as loader:
        node = loader.get_single_node()
        if node is None:
            return Document({}, _Written(Place(source, 1)))
        if not isinstance(node, yaml.MappingNode):
            place = Place(source, node.start_mark.line + 1)
            raise ConfigError(f"{place}: expected sections such as 'Global:' and 'Arch:' here")
        written = _tree(loader, node, Place(source, 1))
        return Document(loader.construct_document(node), written)


def _tree(loader: SafeLoader, node: yaml.Node, place: Place) -> _Written:
    """Return the places of a node, which is written at `place`, and of all inside it."""
    return _Written(
        place,
        {
            key: _tree(loader, child, Place(place.source, line))
            for key, line, child in _children(loader, node, place.source)
        },
    )


def _children(loader: SafeLoader, node: yaml.Node, source: str) -> List[Tuple[Any, int, yaml.Node]]:
    if isinstance(node, yaml.SequenceNode):
        return [(i, item.start_mark.line + 1, item) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return []
    found: Dict[Any, Tuple[Any, int, yaml.Node]] = {}
    for key_node, child in node.value:
        key, line = _key(loader, key_node), key_node.start_mark.line + 1
        if key in found:
            raise ConfigError(
                f"{source}:{line}: the key '{shortened(str(key))}' is written twice (first in "
                f"line {found[key][1]}); keep one of them"
            )
        found[key] = (key, line, child)
    return list(found.values())


def _key(loader: SafeLoader, node: yaml.Node) -> Any:
    if node.tag == MERGE_TAG:
        return "<<"
    key = loader.construct_object(node, deep=True)
    if not isinstance(key, Hashable):
        raise ConstructorError(None, None, "a list or mapping cannot be a key", node.start_mark)
    return key
