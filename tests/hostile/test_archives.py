"""Tar archives of others, plain and with gzip."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ppcls.data.cifar10 import prepare_cifar10
from tests.hostile.harness import Limits, attack, expect_no_failure
from tests.hostile.mutate import damaged

pytestmark = pytest.mark.slow

LIMITS = Limits(seconds=10, megabytes=400)
PNG = cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes()
KINDS = [tarfile.REGTYPE] * 9 + [tarfile.GNUTYPE_SPARSE, tarfile.SYMTYPE, tarfile.CHRTYPE, b"x"]
NAMES = ["train/cat/1.png", "test/dog/2.png", "data_batch_1.bin", "test_batch.bin"]
NAMES += ["../x.png", "/x", "x" * 300, "train/cat/\n.png", "\0", "train/../1.png", ""]


def _archive(rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    form = rng.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for _ in range(rng.randint(0, 4)):
            member = tarfile.TarInfo(
                rng.choice(NAMES)[: 99 if form == tarfile.USTAR_FORMAT else 300]
            )
            data = PNG if member.name.endswith(".png") else bytes(rng.choice((0, 10, 3073, 6146)))
            member.size = len(data)
            member.type = rng.choice(KINDS)
            if rng.random() < 0.1:
                member.pax_headers = {"size": "9" * 18, "comment": "x" * rng.choice((1, 99_999))}
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _hostile(rng: random.Random) -> bytes:
    data = _archive(rng)
    if rng.random() < 0.05:
        data += bytes(rng.choice((10**6, 10**7)))
    if rng.random() < 0.7:
        data = damaged(data, rng)
    if rng.random() < 0.5:
        data = gzip.compress(data, 1)
        data = damaged(data, rng) if rng.random() < 0.3 else data
    return data


def test_archives(tmp_path: Path) -> None:
    def read(data: bytes) -> Any:
        (tmp_path / "a.tar").write_bytes(data)
        return prepare_cifar10(tmp_path / "out", [tmp_path / "a.tar"])

    found = attack("archives", _hostile, read, tmp_path, LIMITS)
    assert found.refused > found.inputs / 4
    expect_no_failure(found, tmp_path)
