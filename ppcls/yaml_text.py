"""YAML read within limits: the one way in for all YAML of ppcls.

What a text may hold is checked before anything is made of it, so what a stranger wrote costs
little, and what PyYAML stumbles over is an error with its line. Nothing but plain data can be
constructed. Differences from plain YAML 1.1, on purpose: `1e-4` is a number (YAML 1.1 reads it as
text), and numbers have limits of their own.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

import yaml
from yaml.composer import Composer, ComposerError
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from ppcls.errors import ConfigError
from ppcls.text import shortened, shown

MOST_BYTES = 4 * 2**20
"""The largest file that is read. A recipe has 3 thousand bytes, a bundle of 22 thousand classes 1
million.
"""

MOST_VALUES = 200_000
"""The most values of a text, counting each alias (`*name`) as the values that it stands for, and
every 100 letters of a value as one more.
"""

MOST_DEPTH = 64
"""The most lists and mappings that stand inside each other, aliases replaced."""

_LONGEST_NUMBER = 400
"""The largest double that is written without exponent has 309 digits."""

MERGE_TAG = "tag:yaml.org,2002:merge"
_NUMBERS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp")}
_HINTS = {
    "found character that cannot start any token": "; indent with spaces, and quote a text that "
    "begins with @ or `",
    "second occurrence": " of an anchor (&name); its name must be another",
}
"""What the words of PyYAML and libyaml leave out."""

_UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""What no text of a configuration can hold, as neither files nor terminals take it."""


def parse_value(text: str, source: str = "") -> Any:
    """Return the value that a piece of YAML stands for.

    Raises:
        ConfigError: the text is not YAML, or exceeds the limits of this module; the message begins
            with the line, if a `source` is given.
    """
    with loading(text, source) as loader:
        return loader.get_single_data()


def read_value(path: Path) -> Any:
    """Return the value that a YAML file stands for.

    Raises:
        ConfigError: as `parse_value`; or the file cannot be read.
    """
    return parse_value(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Return the text of a YAML file.

    Raises:
        ConfigError: the file cannot be read, is too large, or is not UTF-8 text.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot read the configuration file {path}: {reason}") from None
    _expect_length(len(data), str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this is not valid YAML: it is not UTF-8 text") from None


class _TooMuch(yaml.MarkedYAMLError):
    """The text is YAML, but exceeds a limit."""


class SafeLoader(Composer, SafeConstructor, Resolver):
    """PyYAML's safe loader without a parser, but with limits; it reads `1e-4` as a number."""

    peek_event: Callable[[], Any]

    def __init__(self) -> None:
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self._values = self._depth = 0
        self._extents: Dict[int, Tuple[int, int]] = {}

    def compose_node(self, parent: Optional[yaml.Node], index: Any) -> Any:
        """Return the next node, and note how many values it holds and how deep it is."""
        event = self.peek_event()
        mark = event.start_mark
        self._values, self._depth = self._values + 1, self._depth + 1
        _expect_within_limits(self._values, self._depth, mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if not isinstance(event, yaml.AliasEvent):
            self._extents[id(node)] = self._extent(node)
            _expect_within_limits(*self._extents[id(node)], mark)
        elif id(node) not in self._extents:
            problem = f"the alias *{event.anchor} stands for something that contains it"
            raise ComposerError(None, None, problem, mark)
        return node

    def _extent(self, node: Any) -> Tuple[int, int]:
        """Return the number of values and the depth of a node, aliases replaced."""
        if isinstance(node, yaml.ScalarNode):
            return 1 + len(node.value) // 100, 1
        pairs = node.value if isinstance(node, yaml.MappingNode) else [node.value]
        extents = [self._extents[id(item)] for pair in pairs for item in pair]
        counts, depths = zip((1, 0), *extents)
        return sum(counts), 1 + max(depths)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Replace the merge key of a mapping, which takes long where it stands there often."""
        merged = [key for key, _ in node.value if key.tag == MERGE_TAG]
        if len(merged) > 1:
            problem = "the merge key << is written twice; give it a list"
            raise ConstructorError(None, None, problem, merged[1].start_mark)
        super().flatten_mapping(node)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node."""
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            problem = f"a number has at most {_LONGEST_NUMBER} letters"
            raise ConstructorError(None, None, problem, node.start_mark)
        try:
            value = super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            kind = node.tag.rpartition(":")[2]
            problem = f"{_spelled(node)} is no valid {kind}; quote it if it is text"
            raise ConstructorError(None, None, problem, node.start_mark) from None
        if isinstance(value, str) and _UNUSABLE.search(value):
            problem = f"the text {shown(value, 60)} holds NUL or half of a character"
        elif isinstance(value, int) and not -(2**63) <= value < 2**64:
            problem = f"the number {_spelled(node)} needs more than 64 bits"
        else:
            return value
        raise ConstructorError(None, None, problem, node.start_mark)


def _spelled(node: yaml.Node) -> str:
    return shown(node.value, 60) if isinstance(node, yaml.ScalarNode) else "this list or mapping"


def _expect_within_limits(values: int, depth: int, mark: yaml.Mark) -> None:
    if values > MOST_VALUES:
        problem = (
            f"it holds more than {MOST_VALUES:,} values, the most that are read; an alias (*name) "
            "counts as all that it stands for, and a long text as several"
        )
        raise _TooMuch(None, None, problem, mark)
    if depth > MOST_DEPTH:
        problem = f"more than {MOST_DEPTH} lists and mappings stand inside each other"
        raise _TooMuch(None, None, problem, mark)


SafeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


class _PythonLoader(SafeLoader, Reader, Scanner, Parser):
    """Reads with the parser that PyYAML always has."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        SafeLoader.__init__(self)


_Loader: Callable[[str], SafeLoader] = _PythonLoader
with contextlib.suppress(ImportError):
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class _FastLoader(SafeLoader, CParser):  # type: ignore[misc]
        """Reads with libyaml, which takes a fifth of the time."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            SafeLoader.__init__(self)

    _Loader = _FastLoader


@contextlib.contextmanager
def loading(text: str, source: str) -> Iterator[SafeLoader]:
    """Yield a loader of a text; its errors in the block become ones that name the line."""
    _expect_length(len(text), source)
    bad = Reader.NON_PRINTABLE.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise _refusal(source, line, f"this is not valid YAML: it holds {bad.group()!r}")
    loader = _Loader(text)
    try:
        yield loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        kind = "is too large" if isinstance(error, _TooMuch) else "is not valid YAML"
        problem = shortened(str(error.problem or error.context))
        hint = _HINTS.get(problem, "")
        # libyaml has the end of a text behind its last line.
        line = min(mark.line + 1, len(text.splitlines())) if mark else 1
        raise _refusal(source, line, f"this {kind}: {problem}{hint}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _refusal(source, 1, f"this is not valid YAML: {error}") from None


def _expect_length(length: int, source: str) -> None:
    if length > MOST_BYTES:
        what = f"this is too large: more than {MOST_BYTES:,} bytes, the most that are read"
        raise _refusal(source, 1, what)


def _refusal(source: str, line: int, what: str) -> ConfigError:
    return ConfigError(f"{source}:{line}: {what}" if source else what)
