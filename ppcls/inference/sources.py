"""Which images a command line means: files, folders, patterns, lists, addresses, standard input."""

from __future__ import annotations

import glob
import logging
import os
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Iterable, Iterator, List, Sequence, Union

from ppcls.data.transforms.imagefile import IMAGE_SUFFIXES
from ppcls.errors import BadImageError, DataError, UsageError
from ppcls.files import read_regular
from ppcls.inference.lists import (
    LIST_SUFFIXES,
    MOST_LIST_BYTES,
    is_address,
    is_image_data,
    listed_images_of,
)
from ppcls.text import natural_key

STDIN = "-"
_NO_IMAGES = f"the folder holds no images; looked for {', '.join(IMAGE_SUFFIXES)}"
_SHOWN = 3
_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class Source:
    """An image that is no file of this machine, by the name that its prediction gets."""

    name: str

    def read(self) -> bytes:
        """Return the bytes of an image file.

        Raises:
            BadImageError, DownloadError: there is none.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Held(Source):
    """An image whose bytes are here already."""

    data: bytes

    def read(self) -> bytes:
        """Return them."""
        return self.data


@dataclass(frozen=True)
class Fetched(Source):
    """An image on a web server; its name is the address."""

    private_too: bool = False

    def read(self) -> bytes:
        """Ask the server; see `ppcls.inference.fetch`."""
        from ppcls.inference.fetch import fetch_image

        return fetch_image(self.name, self.private_too)


@dataclass(frozen=True)
class Missing(Source):
    """A word that stands for no image, and why not."""

    reason: str

    def read(self) -> bytes:
        """Say why."""
        raise BadImageError(self.reason)


FileOrSource = Union[str, Source]


@dataclass(frozen=True)
class Gathering:
    """How the words of a command line are understood.

    Attributes:
        recursive: whether the folders inside of folders are searched.
        private_urls: whether servers of private networks, and of this machine, are asked.
    """

    recursive: bool = True
    private_urls: bool = False

    def sources(self, words: Iterable[str]) -> List[FileOrSource]:
        """Return the images that words stand for, in their order.

        A word is ``-`` (standard input: an image, or a path or address on each line), an
        ``http://`` or ``https://`` address, a folder, a list file (.txt, .csv, .lst), an image
        file, or a pattern (``photos/*.jpg``; ``**`` is any depth). What exists under exactly this
        name is no pattern. What does not exist is no error yet, so that it becomes a row like a
        damaged image.

        Raises:
            DataError: a list cannot be read, or names no image.
            UsageError: standard input is closed.
        """
        return [source for word in words for source in self._meant(word)]

    def _meant(self, word: str) -> Iterable[FileOrSource]:
        if word == STDIN:
            return self._of_stdin()
        if is_address(word):
            return [Fetched(word, self.private_urls)]
        if os.path.isdir(word):
            return images_in(Path(word), self.recursive) or [Missing(word, _NO_IMAGES)]
        if Path(word).suffix.lower() in LIST_SUFFIXES and os.path.isfile(word):
            return self._of_list(word)
        if glob.has_magic(word) and not os.path.lexists(word):
            return _matching(word) or [Missing(word, "no file matches this pattern")]
        return [word]

    def _of_stdin(self) -> Iterable[FileOrSource]:
        if sys.stdin is None:
            raise UsageError("- stands for standard input, which is closed here")
        if sys.stdin.isatty():
            _log.info("type or paste paths and addresses, one on each line; Ctrl-D ends them")
        data = sys.stdin.buffer.read(MOST_LIST_BYTES + 1)
        if len(data) > MOST_LIST_BYTES:
            raise DataError(f"standard input has more than {MOST_LIST_BYTES / 1e6:,.0f} MB")
        if is_image_data(data):
            return [Held(STDIN, data)]
        return self._of_lines(data, "standard input", [Path()])

    def _of_list(self, path: str) -> Iterable[FileOrSource]:
        try:
            data = read_regular(path, MOST_LIST_BYTES)
        except OSError as error:
            raise DataError(f"{path}: the list cannot be read: {error.strerror}") from None
        if is_image_data(data):
            return [path]
        folder = Path(path).parent
        around = folder / ".." if folder.name in ("", "..") else folder.parent
        return self._of_lines(data, path, [folder, around, Path()])

    def _of_lines(self, data: bytes, where: str, folders: Sequence[Path]) -> Iterator[FileOrSource]:
        for one in listed_images_of(data, where, folders):
            yield Fetched(one, self.private_urls) if is_address(one) else one


def images_in(folder: Path, recursive: bool = True) -> List[str]:
    """Return the image files of a folder, or of all folders in it as well, in natural order."""
    found = folder.rglob("*") if recursive else folder.glob("*")
    files = (one for one in found if one.suffix.lower() in IMAGE_SUFFIXES and one.is_file())
    return sorted(map(str, files), key=natural_key)


def _matching(pattern: str) -> List[str]:
    files = filter(os.path.isfile, glob.iglob(pattern, recursive=True))
    return sorted(files, key=natural_key)


def refuse_all_missing(sources: Sequence[FileOrSource]) -> None:
    """Make sure, before a network is opened, that there is an image to try.

    Raises:
        DataError: there is none; the message says what was looked for.
    """
    missing = (_missing(source) for source in sources)
    if not all(missing):
        return
    told = [_missing(source) for source in islice(sources, _SHOWN)]
    more = f"; and {len(sources) - _SHOWN} more" if len(sources) > _SHOWN else ""
    raise DataError(
        f"{'; '.join(told)}{more}. Accepted are image files, folders of them, patterns "
        "('photos/*.jpg'), list files (.txt, .csv), http(s) addresses, and - for standard input"
    )


def _missing(source: FileOrSource) -> str:
    """Say why a source is surely no image; empty where it may be one."""
    if isinstance(source, Missing):
        return f"{source.name}: {source.reason}"
    if isinstance(source, str) and not os.path.lexists(source):
        return f"{source}: no such file or folder"
    return ""


def find_images(inputs: Iterable[str]) -> List[str]:
    """Return the image files that files and folders stand for, all of which must be there.

    Folders are searched to any depth; their files come in natural order.

    Raises:
        UsageError: an input does not exist, or a folder holds no images.
    """
    return [path for one in inputs for path in _images_of(Path(one))]


def _images_of(path: Path) -> List[str]:
    if path.is_dir():
        found = images_in(path)
        if not found:
            raise UsageError(f"{path}: {_NO_IMAGES}")
        return found
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; give image files, or folders of them")
    return [str(path)]
