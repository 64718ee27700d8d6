"""Near duplicates among real photos."""

from __future__ import annotations

from pathlib import Path
from typing import List

import cv2
import numpy as np
import pytest

from ppcls.report.duplicates import difference_hash, find_duplicates, hash_images


def test_hash_by_hand() -> None:
    steps = np.tile(np.arange(9, dtype=np.float32), (8, 1))
    assert difference_hash(steps).tolist() == [255] * 8
    assert difference_hash(-steps).tolist() == [0] * 8
    one = np.zeros((8, 9), np.float32)
    one[0, 1] = 1.0
    assert difference_hash(one).tolist() == [0b10000000] + [0] * 7
    assert difference_hash(5 * one - 3).tolist() == difference_hash(one).tolist()


@pytest.fixture(scope="module")
def photos(imagenet_sample: Path) -> List[np.ndarray]:
    """60 real photos, 128 x 128, RGB."""
    paths = sorted(imagenet_sample.rglob("*.JPEG"))[:60] or sorted(imagenet_sample.rglob("*.jp*g"))
    read = [cv2.imread(str(path))[:, :, ::-1] for path in paths[:60]]
    return [cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA) for image in read]


def altered(image: np.ndarray, quality: int, side: int) -> np.ndarray:
    """A copy: smaller, compressed, and enlarged again."""
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), (128, 128))


def stacked(images: List[np.ndarray]) -> np.ndarray:
    return np.stack(images).transpose(0, 3, 1, 2).astype(np.float32)


def test_copies_are_found_and_nothing_else(photos: List[np.ndarray]) -> None:
    copies = [altered(photos[0], 60, 100), altered(photos[7], 40, 64), photos[12][:, ::-1]]
    hashes = hash_images(stacked([*photos, *copies]))
    # As if the network took everything for the same: the hash alone must tell them apart.
    alike = np.ones((len(hashes), 4), np.float32)
    pairs = find_duplicates(alike, hashes)
    count = len(photos)
    expected = {(0, count), (7, count + 1), (12, count + 2)}
    assert {(pair.first, pair.second) for pair in pairs} == expected
    assert {pair.mirrored for pair in pairs if pair.first == 12} == {True}
    assert not any(pair.mirrored for pair in pairs if pair.first != 12)


def test_what_the_network_tells_apart_is_no_copy() -> None:
    hashes = np.zeros((3, 2, 8), np.uint8)
    embeddings = np.array([[1, 0], [0, 1], [2, 0.1]], np.float32)
    (pair,) = find_duplicates(embeddings, hashes)
    assert (pair.first, pair.second, pair.bits) == (0, 2, 0)
    assert pair.cosine == pytest.approx(2 / np.hypot(2, 0.1))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(0, 1, (50, 3)).astype(np.float32)
    hashes = rng.integers(0, 2, (50, 2, 8)).astype(np.uint8)
    whole = find_duplicates(embeddings, hashes)
    monkeypatch.setattr("ppcls.report.duplicates._BLOCK", 7)
    found = [pair[:2] + pair[3:] for pair in find_duplicates(embeddings, hashes)]
    assert len(whole) > 3 and sorted(found) == sorted(pair[:2] + pair[3:] for pair in whole)
