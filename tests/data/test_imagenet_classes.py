"""The names of ImageNet's classes, against the file names of real photos."""

from __future__ import annotations

from pathlib import Path

from ppcls.data.imagenet_classes import imagenet_classes


def test_there_are_a_thousand_and_two_kinds_of_crane() -> None:
    names = imagenet_classes().names
    assert len(names) == 1000
    assert (names[0], names[207], names[999]) == ("tench", "golden retriever", "toilet tissue")
    twice = {name for name in names if names.count(name) > 1}
    assert twice == {"crane", "maillot"}


def test_photos_are_called_as_their_files_say(imagenet_sample: Path) -> None:
    """`imagenet_sample/n01440764_tench.JPEG 0`"""
    names = imagenet_classes().names
    lines = (imagenet_sample / "list.txt").read_text().splitlines()
    assert len(lines) == 100
    for line in lines:
        path, number = line.split()
        said = Path(path).stem.partition("_")[2].replace("_", " ")
        assert names[int(number)].lower() == said.lower()
