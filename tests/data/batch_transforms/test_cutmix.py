"""CutMix: the rectangle, the labels that follow from its area, and the same on a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import pytest

from ppcls.data.batch import Batch
from ppcls.data.batch_transforms.mixup import CutmixOperator, Paste
from ppcls.engine.device_ops import compute
from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.registry import create

HARD, SOFT, MULTI_HOT, MIXED = LabelKind


def cutmix(alpha: float = 1.0, classes: int = 4) -> Any:
    return create("batch_transform", "CutmixOperator", {"alpha": alpha}, class_num=classes)


def batch_of(count: int, height: int = 20, width: int = 30) -> Batch:
    """Images of their own number each, and the same as label."""
    levels = np.arange(count, dtype=np.float32)
    images = np.broadcast_to(levels[:, None, None, None], (count, 3, height, width)).copy()
    return Batch(images, Labels(HARD, np.arange(count)), np.arange(count), 0)


class Drawn:
    """A generator that draws what a test says."""

    def __init__(self, *centres: int) -> None:
        self.centres = list(centres)

    def beta(self, a: float, b: float) -> float:
        assert a == b == 1.0
        return 0.75

    def permutation(self, count: int) -> np.ndarray:
        return np.roll(np.arange(count), -1)

    def integers(self, high: int) -> int:
        assert high in (20, 30)
        return self.centres.pop(0)


def test_a_quarter_of_the_next_image_by_hand() -> None:
    batch = batch_of(4)
    found = cutmix()(batch, Drawn(10, 15))
    # A quarter of the area is half of each side: rows 5 to 15, columns 8 to 22, as 15 // 2 is 7.
    wanted = batch.images.copy()
    wanted[:, :, 5:15, 8:22] = np.roll(np.arange(4), -1)[:, None, None, None]
    np.testing.assert_array_equal(found.images, wanted)
    area = 10 * 14 / 600
    assert found.labels.kind is SOFT
    np.testing.assert_allclose(found.labels.values[0], [1 - area, area, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(found.labels.values[3], [area, 0, 0, 1 - area], rtol=1e-6)
    assert (batch.images[0] == 0).all()


def test_what_the_border_cuts_off_does_not_count() -> None:
    found = cutmix()(batch_of(4), Drawn(0, 29))
    part = found.images[0, 0] == 1
    assert part[:5, 22:].all() and part.sum() == 5 * 8
    assert found.labels.values[0, 1] == pytest.approx(40 / 600)


def test_labels_always_say_what_is_seen() -> None:
    for seed in range(50):
        found = cutmix(0.5)(batch_of(4), np.random.default_rng(seed))
        for image, label in zip(found.images, found.labels.values):
            seen = [(image[0] == number).mean() for number in range(4)]
            np.testing.assert_allclose(seen, label, atol=1e-6)
            assert label.sum() == pytest.approx(1)


@pytest.mark.parametrize("count", [0, 1])
def test_batches_that_have_no_pair(count: int) -> None:
    batch = batch_of(count)
    found = cutmix()(batch, np.random.default_rng(0))
    np.testing.assert_array_equal(found.images, batch.images)
    assert found.labels.values.shape == (count, 4)


def test_kinds_of_labels_and_nonsense() -> None:
    assert cutmix().output_kind(HARD) is cutmix().output_kind(SOFT) is SOFT
    assert cutmix().output_kind(MULTI_HOT) is cutmix().output_kind(MIXED) is MIXED
    with pytest.raises(ConfigError, match="CutmixOperator: alpha: must be "):
        cutmix(0)


def test_the_same_on_a_device() -> None:
    images = np.random.default_rng(0).random((3, 2, 8, 9), np.float32)
    op = Paste(np.array([2, 0, 1]), slice(1, 5), slice(3, 9))
    np.testing.assert_array_equal(compute(op, paddle.to_tensor(images)).numpy(), op(images))


def test_an_op_that_is_not_known_computes_on_the_host() -> None:
    images = np.random.default_rng(0).random((3, 2, 8, 9), np.float32)
    found = compute(lambda values: values[:, :, ::-1].copy(), paddle.to_tensor(images))
    np.testing.assert_array_equal(found.numpy(), images[:, :, ::-1])


def test_levels_are_cut_by_their_height_and_width() -> None:
    levels = np.zeros((4, 20, 30, 3), np.uint8)
    labels = Labels(HARD, np.arange(4))
    batch = Batch(levels, labels, np.arange(4), 0, left=(lambda images: images,))
    found = cutmix()(batch, Drawn(10, 15))
    assert batch.size == (20, 30) and found.images is levels
    paste = found.left[1]
    assert isinstance(paste, Paste) and (paste.rows, paste.columns) == (slice(5, 15), slice(8, 22))
    assert CutmixOperator.passes_on
