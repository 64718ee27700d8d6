"""Other places for published files: the map from address prefixes to mirrors.

``mirrors.yaml`` in the cache folder maps a prefix to one mirror or a list of them::

    https://paddle-imagenet-models-name.bj.bcebos.com/: https://mirror.example/paddle/
    https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/: [/mnt/weights/, https://b.example/]

``$PPCLS_MIRRORS`` says the same as ``PREFIX=MIRROR;PREFIX=MIRROR`` and is asked first. A mirror is
an http or https address, or a folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple, Union

from ppcls.errors import ConfigError, UsageError
from ppcls.files import cache_folder
from ppcls.yaml_text import read_value

VARIABLE = "PPCLS_MIRRORS"


def mirrors_file() -> Path:
    """Return where the user's map is looked for."""
    return cache_folder() / "mirrors.yaml"


def places(address: str) -> List[Union[str, Path]]:
    """Return where to look for what is published at `address`, in this order: mirrors, itself.

    Folders, which may be written as ``file:///FOLDER/``, come as paths of the file in them.

    Raises:
        UsageError: the map is malformed; the message says where and what is accepted.
    """
    found = [
        mirror + address[len(prefix) :] for prefix, mirror in _map() if address.startswith(prefix)
    ]
    return [*(_place(mirrored) for mirrored in found), address]


def _place(mirrored: str) -> Union[str, Path]:
    plain = mirrored[len("file://") :] if mirrored.startswith("file://") else mirrored
    return Path(plain).expanduser() if plain.startswith(("/", "~")) else mirrored


def _map() -> Iterator[Tuple[str, str]]:
    """Yield pairs of prefix and mirror, each of which ends with a slash."""
    for where, prefix, mirror in [*_from_variable(), *_from_file()]:
        if not prefix.startswith(("http://", "https://")):
            raise UsageError(f"{where}: {prefix!r} is no prefix of an address; write https://...")
        if not mirror.startswith(("http://", "https://", "file:///", "/", "~")):
            raise UsageError(f"{where}: {mirror!r} is no mirror; write https://... or /FOLDER")
        yield prefix.rstrip("/") + "/", mirror.rstrip("/") + "/"


def _from_variable() -> Iterator[Tuple[str, str, str]]:
    for item in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(";"))):
        prefix, equals, mirror = item.partition("=")
        if not equals:
            raise UsageError(f"${VARIABLE}: {item!r} is not of the form PREFIX=MIRROR")
        yield f"${VARIABLE}", prefix.strip(), mirror.strip()


def _from_file() -> Iterator[Tuple[str, str, str]]:
    where = str(mirrors_file())
    for prefix, mirrors in _read(mirrors_file()).items():
        for mirror in mirrors if isinstance(mirrors, list) else [mirrors]:
            yield where, str(prefix), str(mirror)


def _read(file: Path) -> Dict[Any, Any]:
    if not file.exists():
        return {}
    try:
        content = read_value(file) or {}
    except ConfigError as error:
        raise UsageError(f"{file} is not readable YAML: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{file} must hold lines such as `https://a.example/: https://b.example/`")
    return content
