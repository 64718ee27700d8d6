"""What this machine can do at best: the speeds that training cannot exceed here."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Optional, Sequence

import numpy as np
import paddle

from ppcls.data.dataset import Dataset
from ppcls.errors import BadImageError

_SIDE = 1536
"""Of square matrices that are multiplied."""

_BYTES = 1 << 27
"""That are copied, far more than caches hold."""

_ENCODED = 200
"""Image files that are decoded."""

_REPEATS = 5


def matrix_product(device: str) -> float:
    """Return the floating-point operations per second of the product of two float32 matrices."""
    one = paddle.rand([_SIDE, _SIDE])

    def multiply() -> None:
        paddle.matmul(one, one)
        synchronise(device)

    return 2.0 * _SIDE**3 / _best(multiply)


def copy_bandwidth() -> float:
    """Return the bytes per second that a copy within main memory reads and writes, together."""
    source = np.ones(_BYTES, np.uint8)
    target = np.empty_like(source)
    return 2.0 * _BYTES / _best(lambda: np.copyto(target, source))


def decoding(dataset: Dataset, threads: int) -> Optional[float]:
    """Return how many of the data set's files OpenCV decodes per second, in full size and without
    any transform; None where the data set gives no files that it reads.

    Args:
        dataset: gives the encoded images.
        threads: how many decode at a time, as many as the loader has.
    """
    encoded = _encoded(dataset)
    if not encoded:
        return None
    with ThreadPoolExecutor(max(1, threads)) as pool:
        return len(encoded) / _best(lambda: sum(pool.map(_decode, encoded)))


def synchronise(device: str) -> None:
    """Wait until the device has done what it was asked to."""
    if device != "cpu":
        paddle.device.synchronize()


def _encoded(dataset: Dataset) -> Sequence[bytes]:
    found = []
    for index in range(min(_ENCODED, len(dataset))):
        try:
            data = dataset.read(index)
        except (BadImageError, OSError):
            continue
        if isinstance(data, bytes) and _decode(data):
            found.append(data)
    return found


def _decode(data: bytes) -> bool:
    import cv2

    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None


def _best(run: Callable[[], object]) -> float:
    """Return the shortest of a few times in seconds: what else the machine does only adds to it."""
    times = []
    for _ in range(_REPEATS + 1):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times[1:])
