"""What a bundle's files hold, checked before an engine runs them: programs compute, and no more.

Engines believe what they read. Neither Paddle nor the package `onnx` is needed here.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterator, List, Set, Tuple

from ppcls.errors import BundleError
from ppcls.inference.combined import check_tensors
from ppcls.inference.openvino_xml import refused_layers
from ppcls.inference.operators import ONNX, PADDLE_2, PADDLE_3, PADDLE_3_OTHERS
from ppcls.inference.protobuf import PRESENT, VALUE, Field, Layout, MalformedError, fields_of

MOST_BYTES = {
    ".json": 32 << 20,
    ".pdmodel": 32 << 20,
    ".onnx": 2 << 30,
    ".xml": 32 << 20,
    ".pdiparams": 1 << 40,
    ".bin": 1 << 40,
}
"""Programs of Paddle and of OpenVINO hold no weights: the largest that we know has a few megabytes.
An ONNX file does; the limit is protobuf's own. Files with weights are not read as a whole.
"""

MOST_PARTS = 2_000_000
"""Commas and opening brackets of a JSON file."""

_MOST_DEPTH = 64
_MOST_DIGITS = 20

_PDMODEL: Layout = {
    "program": {1: "block"},
    "block": {3: "variable", 4: "operator"},
    "variable": {1: VALUE, 3: VALUE},
    "operator": {1: "input", 2: "output", 3: VALUE},
    "input": {2: VALUE},
    "output": {2: VALUE},
}
"""https://github.com/PaddlePaddle/Paddle/blob/develop/paddle/phi/core/framework/framework.proto"""

_NO_VALUE = "@EMPTY@"
"""What an operator of Paddle 2.6 is given instead of a value that it does not need."""

_ONNX: Layout = {
    "model": {1: VALUE, 7: "graph", 8: "operator set", 20: PRESENT, 25: PRESENT},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {4: VALUE, 5: "attribute", 7: VALUE},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: PRESENT, 14: VALUE},
    "operator set": {1: VALUE},
}
"""https://github.com/onnx/onnx/blob/main/onnx/onnx.proto"""

_FORM, _OPERATOR = ("model", 1), ("node", 4)
"""Where an ONNX file has the version of its form, a number, and the name of an operator."""

_ELSEWHERE = "weights in other files"
_NO_ONNX = "it is no network in ONNX"
_OUTSIDE = {
    ("model", 20): "training steps",
    ("model", 25): "functions of its own",
    ("tensor", 13): _ELSEWHERE,
    ("tensor", 14): _ELSEWHERE,
}
"""What an ONNX file can hold that is refused."""


def check_file(path: Path) -> None:
    """Refuse a program that does more than compute, and weights that claim more than there is.

    Args:
        path: a program, `.json` (Paddle 3.x), `.pdmodel` (Paddle 2.6), `.onnx` or `.xml`
            (OpenVINO, with the weights `.bin` beside it); or weights, `.pdiparams` or `.bin`.

    Raises:
        BundleError: an operator is none of `ppcls.inference.operators`, the file cannot be read, or
            it is malformed or beyond the limits of this module.
    """
    try:
        found = next(_REFUSED[path.suffix](path), None)
    except OSError as error:
        unread = error.filename or path
        raise BundleError(f"{unread}: the file cannot be read: {error.strerror}") from None
    except MalformedError as error:
        raise BundleError(
            f"{path}: the file is damaged: {error}; copy the bundle again, or export the "
            "network again"
        ) from None
    if found is not None:
        raise BundleError(
            f"{path}: the program holds {found}, which is not accepted: {_why(found)}"
        )


def _why(found: str) -> str:
    """Say why something is refused, and what to do."""
    if found == _ELSEWHERE:
        return (
            "an engine would read whatever file is named there. 'ppcls export' keeps all weights "
            "in the ONNX file: export the network again, and do not use this bundle if a stranger "
            "made it"
        )
    return (
        "programs of bundles may only compute, since some operators read files or run code. Do not "
        "use this bundle if a stranger made it; if you did, change the layer that needs this, and "
        "export again. What is accepted stands in ppcls/inference/operators.py"
    )


def _refused_of_paddle_3(path: Path) -> Iterator[str]:
    for name in _operators_of_json(_read_json(path)):
        plain = name[2:] if name.startswith("1.") else ""
        if not {plain, plain.removesuffix("_")} & PADDLE_3 and name not in PADDLE_3_OTHERS:
            yield f"the operator {plain or name!r}"


def _refused_of_paddle_2(path: Path) -> Iterator[str]:
    names: Dict[str, Set[str]] = {"variable": set(), "kept": set(), "input": set(), "output": set()}
    name = ""
    for field in _fields(path, _PDMODEL, "program"):
        where = (field.message, field.number)
        if where == ("variable", 3):
            names["kept"] |= {name} if field.value else set()
        elif where == ("operator", 3):
            if _text(field) not in PADDLE_2:
                yield f"the operator {_text(field)!r}"
        else:
            name = _text(field)
            names[field.message].add(name)
    _check_values(**names)


def _check_values(variable: Set[str], kept: Set[str], input: Set[str], output: Set[str]) -> None:
    """Refuse what makes Paddle look at address 0: values without variables, or that nothing makes.

    Args:
        variable: names of all variables.
        kept: of those that keep their value, such as weights.
        input: what operators use.
        output: what they make.
    """
    missing = (input | output) - variable | input - output - kept
    if missing - {_NO_VALUE}:
        raise MalformedError(f"an operator uses {min(missing - {_NO_VALUE})!r}, which is not there")


def _refused_of_onnx(path: Path) -> Iterator[str]:
    missing = {_FORM, _OPERATOR}
    for field in _fields(path, _ONNX, "model"):
        where = (field.message, field.number)
        missing.discard(where)
        if where in _OUTSIDE:
            if field.value != 0:
                yield _OUTSIDE[where]
        elif where == _OPERATOR:
            if _text(field) not in ONNX:
                yield f"the operator {_text(field)!r}"
        elif where == _FORM:
            if not isinstance(field.value, int):
                raise MalformedError(_NO_ONNX)
        elif _text(field) not in ("", "ai.onnx"):
            yield f"operators of {_text(field)!r}"
    if missing:  # TensorFlow's files have fields of the same numbers, for other things
        raise MalformedError(_NO_ONNX)


def opset_of(path: Path) -> int:
    """Return the version of ONNX' operators that an ONNX file is written with.

    Raises:
        MalformedError: the file is no ONNX file.
    """
    layout: Layout = {"model": {8: "operator set"}, "operator set": {1: VALUE, 2: VALUE}}
    domain: Any = ""
    for field in _fields(path, layout, "model"):
        if field.number == 1:
            domain = field.value
        elif not domain:
            return int(field.value)
    raise MalformedError("it does not say which version of ONNX' operators it uses")


def _refused_of_weights(path: Path) -> Iterator[str]:
    """Weights hold numbers only: all there is to check is that they are as many as they claim."""
    with _opened(path) as file:
        check_tensors(file, os.fstat(file.fileno()).st_size)
    return iter(())


def _refused_of_openvino(path: Path) -> Iterator[str]:
    with _opened(path.with_suffix(".bin")) as weights, _opened(path) as file:
        yield from refused_layers(file.read(), os.fstat(weights.fileno()).st_size)


def _refused_of_plain_numbers(path: Path) -> Iterator[str]:
    """Numbers without a form of their own: the program says how many there are, and is checked."""
    _opened(path).close()
    return iter(())


_REFUSED: Dict[str, Callable[[Path], Iterator[str]]] = {
    ".json": _refused_of_paddle_3,
    ".pdmodel": _refused_of_paddle_2,
    ".onnx": _refused_of_onnx,
    ".xml": _refused_of_openvino,
    ".pdiparams": _refused_of_weights,
    ".bin": _refused_of_plain_numbers,
}
"""Suffix of a file -> a function that yields, in words, what it must not hold."""


def _fields(path: Path, layout: Layout, message: str) -> Iterator[Field]:
    with _opened(path) as file:
        if not path.stat().st_size:  # mmap takes no empty files
            raise MalformedError("it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from fields_of(data, layout, message)


def _opened(path: Path) -> IO[bytes]:
    file = path.open("rb")
    size, most = os.fstat(file.fileno()).st_size, MOST_BYTES[path.suffix]
    if size <= most:
        return file
    file.close()
    raise MalformedError(f"it has {size:,} bytes, where {most:,} are accepted")


def _text(field: Field) -> str:
    if isinstance(field.value, int):
        raise MalformedError(f"field {field.number} of a {field.message} is a number, not a name")
    return field.value.decode("utf-8", "replace")


# --- JSON -----------------------------------------------------------------------------------------


def _read_json(path: Path) -> Any:
    """Return plain data, of which Paddle reads the same."""
    with _opened(path) as file:
        data = file.read(MOST_BYTES[path.suffix])
    if sum(map(data.count, (b",", b"[", b"{"))) > MOST_PARTS:
        raise MalformedError(f"it has more than {MOST_PARTS:,} parts")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_mapping, parse_int=_integer)
    except RecursionError:
        raise MalformedError(f"it is nested more than {_MOST_DEPTH} deep") from None
    except ValueError as error:
        raise MalformedError(f"it is not JSON: {error}") from None


def _mapping(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MalformedError("a key stands twice in one object")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise MalformedError("a number has more than 64 bits")
    return int(digits)


def _operators_of_json(program: Any) -> Iterator[str]:
    """Yield the name of every operator, wherever in the program it stands."""
    level = [program]
    for _ in range(_MOST_DEPTH):
        for item in level:
            if isinstance(item, dict) and "ops" in item:
                yield from map(_name, _list(item["ops"]))
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return
    raise MalformedError(f"it is nested more than {_MOST_DEPTH} deep")


def _inside(item: Any) -> List[Any]:
    inner = item.values() if isinstance(item, dict) else item
    return [value for value in inner if isinstance(value, (dict, list))]


def _list(value: Any) -> List[Any]:
    if not isinstance(value, list):
        raise MalformedError("its operators ('ops') are no list")
    return value


def _name(operator: Any) -> str:
    name = operator.get("#") if isinstance(operator, dict) else None
    if not isinstance(name, str):
        raise MalformedError("an operator in it has no name ('#')")
    return name
