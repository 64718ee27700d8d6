"""The end of a list for many images at once: the same bits as op by op."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import numpy as np
import paddle
import pytest

from ppcls.config import load_config
from ppcls.data.transforms import Pipeline, Shape, Transform
from ppcls.data.transforms.normalize import NormalizeImage
from ppcls.engine.device_ops import compute
from tests.recipes import all_recipes

SIZED = {"CropImage": {"size": [20, 16]}}
LAST = {"NormalizeImage": {"order": ""}}
FIRST = {"NormalizeImage": {"order": "chw"}}
ENDS = {
    "as recipes write it": [SIZED, LAST, "ToCHWImage"],
    "channels moved by itself": [SIZED, LAST],
    "channels first": [SIZED, "ToCHWImage", FIRST],
    "no normalisation": [SIZED],
    "half precision": [SIZED, {"NormalizeImage": {"order": "", "output_fp16": True}}],
    "a fourth channel": [SIZED, {"NormalizeImage": {"order": "", "channel_num": 4}}, "ToCHWImage"],
    "grey": [
        {"DecodeImage": {"channel_num": 1}},
        SIZED,
        {"NormalizeImage": {"order": "", "mean": [0.4], "std": [0.3]}},
    ],
}


def both(pipeline: Pipeline, photos: List[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
    """The levels of some photos, and what the ops make of one after the other."""
    assert pipeline.finish is not None and pipeline.output_size is not None
    shape = (len(photos), *pipeline.output_size, pipeline.finish.channels)
    levels = np.full(shape, 77, np.uint8)
    for photo, out in zip(photos, levels):
        assert pipeline.levels(photo, np.random.default_rng(5), out) is out
    one_by_one = [pipeline(photo, np.random.default_rng(5)) for photo in photos]
    return levels, np.stack(one_by_one)


def same_bits(found: np.ndarray, wanted: np.ndarray) -> bool:
    assert (found.shape, found.dtype) == (wanted.shape, np.float32)
    return found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("ops", ENDS.values(), ids=ENDS)
def test_same_bits_as_op_by_op(ops: Any, photo: np.ndarray, parts: Any) -> None:
    pipeline = Pipeline(parts(*ops))
    levels, wanted = both(pipeline, [photo, 255 - photo, np.roll(photo, 3, axis=1)])
    assert pipeline.finish is not None
    assert same_bits(pipeline.finish(levels), wanted)
    out = np.full_like(wanted, 9)
    assert pipeline.finish(levels, out) is out and same_bits(out, wanted)
    there = compute(pipeline.finish, paddle.to_tensor(levels))
    assert same_bits(there.numpy(), wanted)


@pytest.mark.parametrize("ops", ENDS.values(), ids=ENDS)
def test_no_images(ops: Any, parts: Any) -> None:
    pipeline = Pipeline(parts(*ops))
    assert pipeline.finish is not None
    none = np.empty((0, 16, 20, pipeline.finish.channels), np.uint8)
    assert pipeline.finish(none).shape == (0, pipeline.channels, 16, 20)


@pytest.mark.parametrize(
    "ops",
    [
        [{"DecodeImage": {"channel_first": True}}, FIRST],
        [SIZED, LAST, LAST],
    ],
    ids=["channels first from the file", "normalised twice"],
)
def test_other_ends_run_image_by_image(ops: Any, parts: Any, photo: np.ndarray) -> None:
    pipeline = Pipeline(parts(*ops))
    assert pipeline.finish is None and pipeline(photo).shape[0] == 3


class Own(NormalizeImage):
    """Computes something else."""

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return super().__call__(image, rng) * 0 + 7


class Halving(Transform):
    """Gives floats, and does not say so."""

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return image.astype(np.float32) / 2


class SaysSo(Halving):
    def shape_after(self, shape: Shape) -> Shape:
        return replace(shape, dtype="float32")


def test_ops_of_ones_own_are_run_as_they_are(photo: np.ndarray, parts: Any) -> None:
    sized, last = parts(SIZED, LAST)
    for ops in ([sized, Own(order="")], [sized, Halving(), last], [sized, SaysSo(), last]):
        assert Pipeline(ops).finish is None and Pipeline(ops)(photo).dtype == np.float32
    assert (Pipeline([sized, Own(order="")])(photo) == 7).all()


def test_levels_and_channels_last_are_no_floats(parts: Any) -> None:
    assert Pipeline(parts(SIZED), output_dtype="uint8", output_layout="hwc").finish is None


def lists_of(content: Any) -> Iterator[Any]:
    """Every list of transforms in a recipe."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key in ("transform_ops", "transforms"):
                yield value
            else:
                yield from lists_of(value)


@pytest.mark.parametrize("file", all_recipes())
def test_every_list_of_our_recipes_ends_so(file: Path, parts: Any) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    lists = list(lists_of(load_config(str(file)).data))
    assert lists
    for ops in lists:
        pipeline = Pipeline(parts(*ops))
        levels, wanted = both(pipeline, [photo])
        assert pipeline.finish is not None and same_bits(pipeline.finish(levels), wanted)


def test_pixels_go_on_where_decoding_ended(photo: np.ndarray, encode: Any, parts: Any) -> None:
    pipeline, file = Pipeline(parts(SIZED, LAST)), encode(photo, "PNG")
    np.testing.assert_array_equal(pipeline(pipeline.decoded(file)), pipeline(file))
    swapped = Pipeline(parts({"DecodeImage": {"to_rgb": False}}, SIZED))
    np.testing.assert_array_equal(swapped(swapped.decoded(file)), swapped(file))


def test_a_file_stays_one_where_the_crop_says_how_to_read_it(
    photo: np.ndarray, encode: Any, parts: Any
) -> None:
    ops = [{"DecodeImage": {"scaled": True}}, {"RandCropImage": {"size": 8}}]
    file = encode(photo, "JPEG")
    assert Pipeline(parts(*ops)).decoded(file) is file
