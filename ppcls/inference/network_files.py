"""Which files a network is in each format; all are checked before an engine opens one of them.

Engines find the weights by the name of the program, whatever a bundle lists, and choose how to read
a file by its content: a file that is not listed has no checksum, and one of another kind is checked
as what it is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

from ppcls.errors import BundleError
from ppcls.inference.bundle import Bundle
from ppcls.inference.programs import check_file


class _Form(NamedTuple):
    """The files of a format."""

    suffixes: Tuple[Tuple[str, ...], ...]
    """Those that go together, the program's first; one of these rows."""
    words: str


_FORMS: Dict[str, _Form] = {
    "paddle": _Form(
        ((".json", ".pdiparams"), (".pdmodel", ".pdiparams")),
        "a program (.json or .pdmodel) and weights (.pdiparams) of the same name",
    ),
    "onnx": _Form(((".onnx",),), "one file (.onnx)"),
    "openvino": _Form(((".xml", ".bin"),), "a program (.xml) and weights (.bin) of the same name"),
}
"""Name of a format, without "_int8", -> its files."""


def checked_network(bundle: Bundle, format: str) -> List[Path]:
    """Return the files of a network, the program first, once each has been checked.

    Args:
        bundle: which holds the format.
        format: a key of `bundle.formats` that an engine opens.

    Raises:
        BundleError: these are not the files of that format, or `check_file` refuses one.
    """
    files, form = bundle.formats[format], _FORMS[format.partition("_")[0]]
    found = sorted(path.suffix for path in files)
    suffixes = next((row for row in form.suffixes if sorted(row) == found), None)
    if suffixes is None or len({path.with_suffix("") for path in files}) > 1:
        names = ", ".join(path.name for path in files) or "none"
        raise BundleError(
            f"{bundle.folder}: a network in the format '{format}' is {form.words}, the bundle "
            f"lists {names}; export the network again"
        )
    for path in files:
        check_file(path)
    return sorted(files, key=lambda path: suffixes.index(path.suffix))
