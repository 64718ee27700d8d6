"""YAML files read with the place of every value, so that each message can name file and line.

Differences from plain YAML 1.1, all on purpose: `1e-4` is a number (YAML 1.1 reads it as text), a
key that is written twice in one mapping is an error, and nothing but plain data can be constructed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import yaml

from ppcls.errors import ConfigError

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
class Document:
    """Plain data of a YAML file, and the place of every key path in it."""

    data: Dict[str, Any]
    places: Dict[KeyPath, Place] = field(default_factory=dict)

    def place(self, path: KeyPath) -> Optional[Place]:
        """Return where `path` was written, or the nearest mapping or list around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return None

    def forget(self, path: KeyPath) -> None:
        """Drop the places of everything at and below `path`."""
        for known in [known for known in self.places if known[: len(path)] == path]:
            del self.places[known]

    def adopt(self, path: KeyPath, places: Dict[KeyPath, Place]) -> None:
        """Take over the places of everything at and below `path` from another document."""
        self.forget(path)
        found = {known: place for known, place in places.items() if known[: len(path)] == path}
        self.places.update(found)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader that also reads `1e-4` as a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_value(text: str) -> Any:
    """Return the value that a piece of YAML stands for.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)


def read_document(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML, is not a mapping, or repeats a key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"cannot read the configuration file {path}: {reason}") from None
    loader = _Loader(text)
    try:
        return _document(loader, str(path))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: this is not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: this is not valid YAML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: an alias (*name) in this file contains itself") from None
    finally:
        loader.dispose()


def _document(loader: _Loader, source: str) -> Document:
    node = loader.get_single_node()
    if node is None:
        return Document({}, {(): Place(source, 1)})
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise ConfigError(f"{source}:{line}: expected sections such as 'Global:' and 'Arch:' here")
    places = {(): Place(source, 1), **dict(_places(loader, node, (), source))}
    return Document(loader.construct_document(node), places)


def _places(
    loader: _Loader, node: yaml.Node, path: KeyPath, source: str
) -> Iterator[Tuple[KeyPath, Place]]:
    for key, line, child in _children(loader, node, source):
        yield (*path, key), Place(source, line)
        yield from _places(loader, child, (*path, key), source)


def _children(loader: _Loader, node: yaml.Node, source: str) -> List[Tuple[Any, int, yaml.Node]]:
    if isinstance(node, yaml.SequenceNode):
        return [(i, item.start_mark.line + 1, item) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return []
    found: Dict[Any, Tuple[Any, int, yaml.Node]] = {}
    for key_node, child in node.value:
        key, line = _key(loader, key_node), key_node.start_mark.line + 1
        if key in found:
            raise ConfigError(
                f"{source}:{line}: the key '{key}' is written twice (first in line "
                f"{found[key][1]}); keep one of them"
            )
        found[key] = (key, line, child)
    return list(found.values())


def _key(loader: _Loader, node: yaml.Node) -> Any:
    return (
        loader.construct_object(node, deep=True) if node.tag != "tag:yaml.org,2002:merge" else "<<"
    )
