"""CIFAR-10 from both kinds of archives, and never from pickles."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any, Dict

import cv2
import numpy as np
import pytest

from ppcls.cli import main
from ppcls.data.cifar10 import CIFAR10_CLASSES, prepare_cifar10
from ppcls.data.layouts import recognise
from ppcls.errors import DataError, UsageError

RECORDS = 12


def batch(seed: int) -> np.ndarray:
    """Records as the binary version has them: a label, then red, green and blue rows."""
    rows = np.random.default_rng(seed).integers(0, 256, (RECORDS, 3073), np.uint8)
    rows[:, 0] = np.arange(RECORDS) % 10
    return rows


def archived(path: Path, files: Dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def binary(path: Path, **changes: bytes) -> Path:
    files = {f"data_batch_{i}.bin": batch(i).tobytes() for i in range(1, 6)}
    files = {**files, "test_batch.bin": batch(6).tobytes(), "readme.html": b"<html>", **changes}
    return archived(path, {f"cifar-10-batches-bin/{name}": data for name, data in files.items()})


def png(level: int) -> bytes:
    return cv2.imencode(".png", np.full((4, 4, 3), level, np.uint8))[1].tobytes()


def test_the_binary_version(tmp_path: Path) -> None:
    prepared = prepare_cifar10(tmp_path / "cifar10", [binary(tmp_path / "a.tar.gz")])
    assert str(prepared).startswith("cifar10: wrote 60 training and 12 validation images of 10")
    assert "(folders train and test;" in str(prepared)
    first = batch(1)[0]
    image = cv2.imread(str(tmp_path / "cifar10/train/airplane/0000.png"))
    for channel, plane in zip((2, 1, 0), first[1:].reshape(3, 32, 32)):
        np.testing.assert_array_equal(image[:, :, channel], plane)
    assert (tmp_path / "cifar10/train/airplane/0009.png").is_file()
    found = recognise(tmp_path / "cifar10")
    assert found.class_names == list(CIFAR10_CLASSES) and found.val is not None
    assert (len(found.train), len(found.val)) == (60, 12) and found.warnings == []
    again = prepare_cifar10(tmp_path / "cifar10", [tmp_path / "a.tar.gz"])
    assert not again.is_new


def test_class_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    train = archived(tmp_path / "a.tgz", {"x/train/cat/a.png": png(1), "train/dog/b.png": png(2)})
    test = archived(tmp_path / "b.tgz", {"test/dog/b.png": png(3), "test/notes/b.png": png(4)})
    given = ["data", "prepare", "cifar10", "--output_dir", str(tmp_path / "out")]
    assert main([*given, "--from", str(train), str(test)]) == 0
    assert (tmp_path / "out/train/cat/a.png").read_bytes() == png(1)
    assert (tmp_path / "out/val_list.txt").read_text() == "test/dog/b.png 5\n"
    assert not (tmp_path / "out/test/notes").exists()
    with pytest.raises(UsageError, match="another or incomplete version"):
        prepare_cifar10(tmp_path / "out", [binary(tmp_path / "c.tar.gz")])
    assert main([*given]) == 2 and main(["data", "prepare", "digits", "--from", "x"]) == 2


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cifar-10-batches-py/data_batch_1": b"x"}, "consists of pickles.*never read.*binary"),
        ({"train/cat/1.png": b"<html>"}, "train/cat/1.png': the file holds text"),
        ({"train/cat/1.png": png(1)}, "there are no images of test in '.*'. Accepted: cifar-10"),
        ({"notes.txt": b""}, "there are no images of train and test"),
        (
            {"data_batch_1.bin": b"x" * 3074},
            "is no file of CIFAR-10, whose records have 3073 bytes",
        ),
        ({"data_batch_1.bin": b"\x0a" * 3073}, "the first one below 10"),
        ({"data_batch_1.bin": b""}, "is no file of CIFAR-10"),
        ({"a/test/cat/1.png": png(1), "b/test/cat/1.png": png(1)}, "hold test/cat/1.png more than"),
    ],
)
def test_what_is_not_cifar10(tmp_path: Path, files: Any, expected: str) -> None:
    where = archived(tmp_path / "a.tar.gz", files)
    with pytest.raises(DataError, match=expected):
        prepare_cifar10(tmp_path / "out", [where])
    assert not (tmp_path / "out").exists()
