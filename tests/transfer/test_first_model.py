"""What is said of images that the first model could not learn from."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls.transfer.first_model import _warn_of_missing


@pytest.mark.parametrize(
    ("bad", "why"), [(0, "a longer --budget reads more images"), (3, "3 images cannot be read")]
)
def test_classes_without_images_are_named(bad: int, why: str, caplog) -> None:
    _warn_of_missing(np.array([0, 2, 2]), ["cat", "dog", "cow", "owl\x1b"], bad)
    assert caplog.messages == [
        "the linear head never answers 2 of the 4 classes, of which no image was read "
        f"(dog, owl\\x1b): {why}"
    ]


def test_nothing_is_said_where_all_classes_have_images(caplog) -> None:
    _warn_of_missing(np.array([1, 0]), ["cat", "dog"], 5)
    assert not caplog.messages
