"""PyTorch's checkpoints since version 1.6: zip archives of a pickle and the storages' bytes."""

from __future__ import annotations

import io
import zipfile
from typing import Any, Dict, Optional, Tuple

from ppcls.weights.formats.pickles import MOST_INSTRUCTIONS, Budget, Reader, RefusedError
from ppcls.weights.formats.pth_tensors import (
    ADVICE,
    ALLOWANCE,
    SAVE_WEIGHTS,
    Elements,
    Storage,
    Storages,
    known_names,
)

_LARGEST_DIRECTORY = 4 << 20
"""Bytes of a zip archive's list of entries: about fifty thousand of them."""


_PIECE = 1 << 20
"""Bytes that are unpacked at once."""


class File(io.BufferedReader):
    """A file that refuses to be read in larger pieces than `most`, if that is set."""

    most: Optional[int] = None

    def read(self, size: Optional[int] = -1) -> bytes:
        """Return up to `size` bytes, or the rest of the file.

        Raises:
            RefusedError: that is more than `most`.
        """
        if self.most is not None and size is not None and size > self.most:
            raise RefusedError("its list of entries is longer than any checkpoint needs")
        return super().read(size)


def read_zip(file: File, size: int) -> Tuple[Any, Elements]:
    """Return what an archive of `size` bytes describes, and the numbers of its storages."""
    archive = _opened(file, size)
    entries, top = _entries(archive, size)
    storages = Storages()

    def fetch(storage: Storage) -> memoryview:
        entry = entries.get(f"{top}/data/{storage.key}")
        if entry is None or entry.file_size < storage.size:
            there = "is missing" if entry is None else f"has {entry.file_size} bytes"
            raise RefusedError(
                f"{storage.describe()} should have {storage.size} bytes, but {there}"
            )
        return memoryview(_unpacked(archive, entry))[: storage.size]

    description = _unpacked(archive, entries[f"{top}/data.pkl"])
    stream, instructions = io.BytesIO(description), Budget(MOST_INSTRUCTIONS)
    more = known_names(instructions), storages.refer, ADVICE, instructions
    content = Reader(stream, len(description), *more).load()
    return content, Elements(fetch, _byte_order(archive, entries, top), size)


def _opened(file: File, size: int) -> zipfile.ZipFile:
    """Open the archive, unless its list of entries is missing or alone would fill the memory."""
    file.seek(max(0, size - (1 << 16) - 22))
    if b"PK\x05\x06" not in file.read():
        raise EOFError
    file.most = _LARGEST_DIRECTORY
    archive = zipfile.ZipFile(file)
    file.most = None
    return archive


def _entries(archive: zipfile.ZipFile, size: int) -> Tuple[Dict[str, zipfile.ZipInfo], str]:
    """Return the archive's entries by name, and the folder that all of them are in."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    tops = {name.partition("/")[0] for name in entries}
    top = next((name for name in sorted(tops) if f"{name}/data.pkl" in entries), None)
    if top is None:
        raise RefusedError("it is a zip archive, but holds no data.pkl as those of PyTorch do")
    code = f"{top}/code/"
    if f"{top}/constants.pkl" in entries or any(name.startswith(code) for name in entries):
        advice = f"{SAVE_WEIGHTS}torch.save(torch.jit.load(FILE).state_dict(), ...)"
        raise RefusedError(f"it is a TorchScript program, which only PyTorch can read{advice}")
    if len(entries) != len(archive.infolist()):
        raise RefusedError("two of its entries have the same name")
    if len(tops) > 1 or top in ("", ".", "..") or any("/../" in f"{name}/" for name in entries):
        raise RefusedError("its entries are not in one folder")
    kinds = {entry.compress_type for entry in entries.values()}
    if not kinds <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise RefusedError("its entries are compressed in a way that PyTorch never uses")
    if sum(entry.file_size for entry in entries.values()) > size + ALLOWANCE:
        raise RefusedError("its entries unpack to far more than the file's size")
    return entries, top


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytearray:
    """Return an entry's content.

    It is unpacked piece by piece: no more than the archive says it has, and what that has been
    added up for.

    Raises:
        RefusedError: it has less.
        zipfile.BadZipFile: its checksum is wrong.
    """
    content = bytearray()
    with archive.open(entry) as file:
        while piece := file.read(_PIECE):
            content += piece
    if len(content) < entry.file_size:
        raise RefusedError(f"its entry {entry.filename!r:.100} is shorter than it says")
    return content


def _byte_order(archive: zipfile.ZipFile, entries: Dict[str, zipfile.ZipInfo], top: str) -> str:
    """Return "<" or ">"; files from before PyTorch 2.1 do not say, and are little-endian."""
    entry = entries.get(f"{top}/byteorder")
    said = "little" if entry is None else _unpacked(archive, entry)[:20].decode("ascii", "replace")
    if said not in ("little", "big"):
        raise RefusedError(f"its byte order is {said!r}, where only little and big are known")
    return "<" if said == "little" else ">"
