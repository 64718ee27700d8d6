"""FMix: masks of low frequencies, the labels that follow from them, and the same on a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.data.batch import Batch
from ppcls.data.batch_transforms.fmix import FmixOperator, Masked, largest, low_frequencies
from ppcls.engine.device_ops import compute
from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.registry import create
from tests.data.batch_transforms.test_cutmix import batch_of

HARD, SOFT, MULTI_HOT, MIXED = LabelKind


def fmix(**arguments: Any) -> Any:
    return create("batch_transform", "FmixOperator", arguments, class_num=4)


def test_labels_always_say_what_is_seen() -> None:
    for seed in range(30):
        found = fmix(alpha=0.7)(batch_of(4), np.random.default_rng(seed))
        for image, label in zip(found.images, found.labels.values):
            seen = [(image[0] == number).mean() for number in range(4)]
            np.testing.assert_allclose(seen, label, atol=1e-6)
    assert found.labels.kind is SOFT and found.images.dtype == np.float32


@given(st.integers(1, 24), st.integers(1, 24), st.floats(0, 1), st.floats(0, 5))
def test_any_size_has_a_mask_of_its_fraction(
    height: int, width: int, fraction: float, power: float
) -> None:
    noise = low_frequencies((height, width), power, np.random.default_rng(0))
    assert noise.shape == (height, width) and np.isfinite(noise).all()
    mask = largest(noise, fraction)
    assert mask.sum() == round(fraction * noise.size)
    if 0 < mask.sum() < mask.size:
        assert noise[mask].min() >= noise[~mask].max()


def borders(mask: np.ndarray) -> int:
    return int((mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum())


def test_the_power_says_how_large_the_parts_are() -> None:
    def of(power: float) -> int:
        noise = [low_frequencies((64, 64), power, np.random.default_rng(s)) for s in range(10)]
        return int(np.median([borders(largest(one, 0.5)) for one in noise]))

    assert of(0.0) > 10 * of(3.0) and of(2.0) > of(4.0)
    # Without a power it is white: as many pixels differ from the next one as not.
    assert of(0.0) == pytest.approx(64 * 63, rel=0.05)


@pytest.mark.parametrize("count", [0, 1])
def test_batches_that_have_no_pair(count: int) -> None:
    batch = batch_of(count)
    found = fmix()(batch, np.random.default_rng(0))
    np.testing.assert_array_equal(found.images, batch.images)
    assert found.labels.values.shape == (count, 4)


def test_kinds_of_labels_and_nonsense() -> None:
    assert fmix().output_kind(HARD) is fmix().output_kind(SOFT) is SOFT
    assert fmix().output_kind(MULTI_HOT) is fmix().output_kind(MIXED) is MIXED
    with pytest.raises(ConfigError, match="FmixOperator: alpha: must be "):
        fmix(alpha=0)


def test_the_same_on_a_device_and_left_for_it() -> None:
    images = np.random.default_rng(0).random((3, 2, 8, 9), np.float32)
    op = Masked(np.array([2, 0, 1]), np.random.default_rng(1).random((8, 9)) > 0.4)
    np.testing.assert_array_equal(compute(op, paddle.to_tensor(images)).numpy(), op(images))
    levels, labels = np.zeros((4, 20, 30, 3), np.uint8), Labels(HARD, np.arange(4))
    batch = Batch(levels, labels, np.arange(4), 0, left=(lambda images: images,))
    found = fmix()(batch, np.random.default_rng(0))
    assert found.images is levels and isinstance(found.left[1], Masked)
    assert found.left[1].own.shape == (20, 30) and FmixOperator.passes_on
