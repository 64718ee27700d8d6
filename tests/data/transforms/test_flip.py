"""Mirroring against NumPy."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import pytest
from pydantic import ValidationError

from ppcls.data.transforms.flip import RandFlipImage


@pytest.mark.parametrize("code, axes", [(1, [1]), (0, [0]), (-1, [0, 1])])
@pytest.mark.parametrize("channels", [1, 3])
def test_flips_every_second_image(
    code: Any, axes: list, channels: int, photo: np.ndarray, rng: np.random.Generator
) -> None:
    image = photo[:, :, :channels]
    op = RandFlipImage(code)
    mirrored = 0
    for _ in range(400):
        result = op(image, rng)
        is_mirrored = not np.array_equal(result, image)
        mirrored += is_mirrored
        if is_mirrored:
            np.testing.assert_array_equal(result, np.flip(image, axes))
    assert 160 < mirrored < 240  # 200 expected, standard deviation 10


def test_refuses_other_codes(build: Callable[..., Any]) -> None:
    with pytest.raises(ValidationError, match="flip_code"):
        build("transform", {"RandFlipImage": {"flip_code": 2}})
