"""Reading pickles without running what they say: weight files of Paddle and PyTorch are pickles.

A pickle can call any function. The interpreter here knows only the opcodes that arrays and their
containers need, and only the names that its caller lists, each with something of ours that stands
for it: it never imports or calls what a file names. It makes no more than the file's size allows,
and does no more than so many instructions take: what costs more than others is counted as several.
"""

from __future__ import annotations

import pickle
import reprlib
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from ppcls.errors import CheckpointError

_OPCODES = """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT
    BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8
    EMPTY_DICT SETITEM SETITEMS EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE
    GLOBAL STACK_GLOBAL REDUCE BUILD BINGET LONG_BINGET BINPUT LONG_BINPUT MEMOIZE
"""
_WITH_OUTSIDE_DATA = " BINPERSID BINSTRING SHORT_BINSTRING NEWOBJ"
"""PyTorch's references to storages, the text that Python 2 wrote, and the parameters of old."""

MOST_INSTRUCTIONS = 1_000_000
"""An array takes about thirty; more than this only fills the memory with empty containers."""

MOST_ARRAYS = 50_000
"""More than this do not come of so many instructions, unless one array has many names."""

LONGEST_NAME = 4096
"""Letters of a key: two that are alike to the last letter take long to compare."""

_MOST_ARGUMENTS = 8
"""The longest call, of `torch._utils._rebuild_tensor_v2`, has seven."""

_NUMBER_AS_KEY = 40
"""How many instructions a number as a key counts for. Those of PyTorch's optimizers have some; but
numbers can be chosen to collide, and then each is compared with all others.
"""

FIRST_BYTE = pickle.PROTO
"""What every pickle of protocol 2 or newer starts with."""


_NOTHING = object()


class RefusedError(Exception):
    """The file asks for something that a weight file has no need of."""


class Budget:
    """How much more of something a file may ask for."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self, count: int, otherwise: str) -> None:
        """Take `count` away.

        Raises:
            RefusedError: that much is not left; `otherwise` is the message.
        """
        self._left -= count
        if self._left < 0:
            raise RefusedError(otherwise)


def spend_instructions(budget: Budget, count: int) -> None:
    """Count something as so many instructions.

    Raises:
        RefusedError: the file has more than any weight file needs.
    """
    budget.spend(count, "it has more instructions than any weight file needs")


class Global:
    """A name that a file may refer to; `call` makes what it stands for from checked arguments."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


class StandIn:
    """Something of ours in the place of an object whose insides the file sets."""

    def set(self, state: Any) -> None:
        """Take over what the file says about the object."""
        raise NotImplementedError


def same_tuple(items: Tuple[Any, ...]) -> Tuple[Any, ...]:
    """Stand for `tuple` and classes like it.

    Raises:
        RefusedError: `items` is something else, which might be long and copied often.
    """
    if not isinstance(items, tuple):
        raise RefusedError("it makes a tuple of something else")
    return items


def brief(value: Any) -> str:
    """Name a value for a message: texts and numbers by what they are, others by their type, as
    containers can take for ever to print.
    """
    return reprlib.repr(value) if isinstance(value, (str, int)) else f"a {type(value).__name__}"


@contextmanager
def explained(path: Path, size: int) -> Iterator[None]:
    """Turn whatever reading the file `path` of `size` bytes leads to into a CheckpointError."""
    try:
        yield
    except RefusedError as error:
        raise CheckpointError(f"{path} is refused: {error}; nothing of it was loaded") from None
    except EOFError:
        raise CheckpointError(f"{path} is truncated: it breaks off after {size} bytes") from None
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # from stack underflow to bad text: the bytes are damaged
        reason = f"{type(error).__name__}: {error}"[:200]
        raise CheckpointError(f"{path} is damaged ({reason})") from None


def looks_like(start: bytes) -> str:
    """Say what the first bytes of a file that is no weight file tell about it."""
    if not start:
        return "it is empty"
    if start.startswith((b"version ", b"<")):
        return "it looks like a web page or a Git LFS pointer, so the download went wrong"
    if start.startswith(b"PK\x03\x04"):
        return "it looks like a PyTorch checkpoint or another zip archive"
    return f"it starts with {start[:8]!r}"


class Bounded:
    """A file of `size` bytes that reports its end instead of returning fewer than asked for."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size - file.tell()

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes; EOFError when there are fewer."""
        if count > self._left:
            raise EOFError
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        """Return the bytes up to the next line break."""
        line = self._file.readline()
        self._left -= len(line)
        return line


class _Memo:
    """The values that a pickle numbers, to mention them again.

    A list: numbers as keys of a dictionary can be chosen to collide.
    """

    def __init__(self) -> None:
        self._values: List[Any] = []

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, number: int) -> Any:
        value = self._values[number] if number < len(self._values) else _NOTHING
        if value is _NOTHING:
            raise KeyError(number)
        return value

    def __setitem__(self, number: int, value: Any) -> None:
        if number > MOST_INSTRUCTIONS:
            raise RefusedError(f"it numbers a value {number}, and has fewer values")
        self._values.extend([_NOTHING] * (number + 1 - len(self._values)))
        self._values[number] = value


class Reader(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Python's own interpreter of pickle opcodes, cut down to what arrays need.

    The one in pure Python: of the one in C neither the opcodes nor the memo can be replaced.

    Args:
        file: where the pickle starts; read up to its last instruction.
        size: of the whole file, in bytes.
        known: {(module, name): what stands for it}.
        outside: turns a reference to data outside of the pickle into what stands for it; without
            it such references are refused.
        advice: what to do about a name that is not known.
        instructions: how many the pickle may have; pickles that belong together share it.
    """

    stack: List[Any]
    pop_mark: Callable[[], List[Any]]

    def __init__(
        self,
        file: BinaryIO,
        size: int,
        known: Mapping[Tuple[str, str], Any],
        outside: Optional[Callable[[Any], Any]] = None,
        advice: str = "",
        instructions: Optional[Budget] = None,
    ) -> None:
        super().__init__(Bounded(file, size), encoding="utf-8")
        self._left = Budget(MOST_INSTRUCTIONS) if instructions is None else instructions
        self.memo = _Memo()
        self.dispatch = _Dispatch(outside is not None, self._left)  # type: ignore[misc,assignment]
        self._known, self._outside, self._advice = known, outside, advice

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name; RefusedError when nothing does."""
        if (module, name) not in self._known:
            asked = f"{module}.{name}"[:100]
            raise RefusedError(f"it asks for '{asked}', which no array needs{self._advice}")
        return self._known[module, name]

    def persistent_load(self, reference: Any) -> Any:
        """Return what stands for data outside of the pickle."""
        assert self._outside is not None, "the opcode is not among those of such a reader"
        return self._outside(reference)

    def _reduce(self) -> None:
        arguments, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, Global):
            raise RefusedError("it calls something that is no function")
        # Passing arguments copies them, however often the same ones are passed.
        if not isinstance(arguments, tuple) or len(arguments) > _MOST_ARGUMENTS:
            raise RefusedError("it calls a function with other arguments than arrays need")
        self.stack[-1] = target.call(*arguments)

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, StandIn):
            raise RefusedError("it changes the insides of something that is no array")
        target.set(state)

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][counted_key(key, self._left)] = value

    def _setitems(self) -> None:
        items = self.pop_mark()
        for index in range(0, len(items), 2):
            self.stack[-1][counted_key(items[index], self._left)] = items[index + 1]


def plain_key(key: Any) -> Any:
    """Return a key that is quickly compared, unlike tuples in tuples or numbers made to collide.

    Raises:
        RefusedError: it is neither text of at most `LONGEST_NAME` letters nor a number of at most
            64 bits.
    """
    if isinstance(key, str) and len(key) > LONGEST_NAME:
        raise RefusedError(f"it has a key of {len(key)} letters, where {LONGEST_NAME} are enough")
    if isinstance(key, str) or (isinstance(key, int) and -(2**63) <= key < 2**63):
        return key
    raise RefusedError("it has a dictionary whose keys are neither text nor plain numbers")


def counted_key(key: Any, instructions: Budget) -> Any:
    """Return a key of a dictionary that is being filled, see `plain_key`.

    Raises:
        RefusedError: it is not plain, or the last of too many numbers.
    """
    if not isinstance(key, str):
        spend_instructions(instructions, _NUMBER_AS_KEY)
    return plain_key(key)


@cache
def _functions(with_outside_data: bool) -> Dict[int, Callable[[Any], None]]:
    """Return what the allowed opcodes do, by code."""
    known: Dict[int, Any] = pickle._Unpickler.dispatch  # type: ignore[attr-defined]
    ours = {
        pickle.REDUCE[0]: Reader._reduce,
        pickle.NEWOBJ[0]: Reader._reduce,
        pickle.BUILD[0]: Reader._build,
        pickle.SETITEM[0]: Reader._setitem,
        pickle.SETITEMS[0]: Reader._setitems,
    }
    names = _OPCODES + (_WITH_OUTSIDE_DATA if with_outside_data else "")
    codes = [getattr(pickle, name)[0] for name in names.split()]
    return {code: ours.get(code, known[code]) for code in codes}


class _Dispatch:
    """The functions of the allowed opcodes, by code; counts how often they are asked for."""

    def __init__(self, with_outside_data: bool, left: Budget) -> None:
        self._functions, self._left = _functions(with_outside_data), left

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        spend_instructions(self._left, 1)
        if code not in self._functions:
            raise RefusedError(f"it uses the pickle opcode {bytes([code])!r}, which no array needs")
        return self._functions[code]
