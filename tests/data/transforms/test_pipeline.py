"""Lists of transforms as configurations write them."""

from __future__ import annotations

import json
from typing import Any, Callable, List

import numpy as np
import pytest
from PIL import Image

from ppcls.data.transforms import Pipeline
from ppcls.errors import BadImageError, ConfigError

Parts = Callable[..., List[Any]]
Encode = Callable[..., bytes]

NORMALIZE = {
    "NormalizeImage": {
        "scale": "1.0/255.0",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "order": "",
    }
}
EVAL = [
    {"DecodeImage": {"to_rgb": True, "channel_first": False}},
    {"ResizeImage": {"resize_short": 20}},
    {"CropImage": {"size": 16}},
    NORMALIZE,
]
TRAIN = [
    {"DecodeImage": {"to_rgb": True, "channel_first": False}},
    {"RandCropImage": {"size": 16}},
    {"RandFlipImage": {"flip_code": 1}},
    {"ColorJitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}},
    NORMALIZE,
]


def test_evaluation_by_hand(photo: np.ndarray, encode: Encode, parts: Parts) -> None:
    pipeline = Pipeline(parts(*EVAL))
    result = pipeline(encode(photo, "PNG"))
    assert result.shape == (3, 16, 16) and result.dtype == np.float32
    assert result.flags.c_contiguous
    # 24 x 32 becomes 20 x 27, whose middle starts at row 2 and column 5.
    resized = np.asarray(pipeline_without(parts, "NormalizeImage")(photo))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (resized / 255 - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(result, expected, atol=1e-5)


def pipeline_without(parts: Parts, name: str) -> Pipeline:
    return Pipeline(parts(*(value for value in EVAL if name not in value)))


def test_files_and_arrays_give_the_same(photo: np.ndarray, encode: Encode, parts: Parts) -> None:
    pipeline = Pipeline(parts(*EVAL))
    np.testing.assert_array_equal(pipeline(photo), pipeline(encode(photo, "PNG")))
    without = Pipeline(parts(*EVAL[1:]))
    np.testing.assert_array_equal(without(encode(photo, "PNG")), pipeline(photo))


def test_channels_first_is_added_once(photo: np.ndarray, parts: Parts) -> None:
    added, given = Pipeline(parts(*EVAL)), Pipeline(parts(*EVAL, "ToCHWImage"))
    np.testing.assert_array_equal(added(photo), given(photo))
    assert added.spec() == given.spec()


def test_order_chw_after_moving_the_channels(photo: np.ndarray, parts: Parts) -> None:
    moved = Pipeline(parts(*EVAL[:3], "ToCHWImage", {"NormalizeImage": {"order": "chw"}}))
    np.testing.assert_allclose(moved(photo), Pipeline(parts(*EVAL))(photo), atol=1e-6)


def test_levels_stay_without_normalisation(photo: np.ndarray, parts: Parts) -> None:
    result = Pipeline(parts("DecodeImage"))(photo)
    np.testing.assert_array_equal(result, photo.transpose(2, 0, 1).astype(np.float32))


def test_randomness_comes_from_the_generator(photo: np.ndarray, parts: Parts) -> None:
    pipeline = Pipeline(parts(*TRAIN))
    assert pipeline.is_random and not Pipeline(parts(*EVAL)).is_random
    results = [pipeline(photo, np.random.default_rng(seed)).tobytes() for seed in (1, 2, 1)]
    assert results[0] == results[2] != results[1]
    assert pipeline(photo).tobytes() == pipeline(photo).tobytes()


def test_writes_into_a_given_array(photo: np.ndarray, parts: Parts) -> None:
    pipeline = Pipeline(parts(*EVAL))
    out = np.empty((3, 16, 16), dtype=np.float32)
    assert pipeline(photo, out=out) is out
    np.testing.assert_array_equal(out, pipeline(photo))


def test_leaves_the_array_as_it_is(photo: np.ndarray, parts: Parts) -> None:
    before = photo.copy()
    Pipeline(parts(*TRAIN))(photo)
    np.testing.assert_array_equal(photo, before)


def test_knows_its_output(parts: Parts) -> None:
    pipeline = Pipeline(parts(*TRAIN))
    assert (pipeline.channels, pipeline.output_size) == (3, (16, 16))
    wide = Pipeline(parts({"ResizeImage": {"size": [20, 10]}}))
    assert wide.output_size == (10, 20)
    assert Pipeline(parts({"ResizeImage": {"resize_short": 20}})).output_size is None
    grey = Pipeline(parts({"DecodeImage": {"channel_num": 1}}))
    assert (grey.channels, grey.output_size) == (1, None)
    four = Pipeline(parts({"NormalizeImage": {"order": "", "channel_num": 4}}))
    assert four.channels == 4


def test_spec_is_plain_and_complete(photo: np.ndarray, parts: Parts) -> None:
    pipeline = Pipeline(parts(*EVAL))
    spec = json.loads(json.dumps(pipeline.spec()))
    assert [next(iter(op)) for op in spec] == [
        "DecodeImage",
        "ResizeImage",
        "CropImage",
        "NormalizeImage",
        "ToCHWImage",
    ]
    assert spec[1]["ResizeImage"]["interpolation"] == "bilinear"
    assert spec[3]["NormalizeImage"]["scale"] == pytest.approx(1 / 255)
    np.testing.assert_array_equal(Pipeline(parts(*spec))(photo), pipeline(photo))


def test_spec_of_random_lists_builds_the_same(photo: np.ndarray, parts: Parts) -> None:
    pipeline = Pipeline(parts(*TRAIN))
    again = Pipeline(parts(*pipeline.spec()))
    results = [p(photo, np.random.default_rng(7)) for p in (pipeline, again)]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    "values, message",
    [
        ([{"CropImage": {"size": 8}}, "DecodeImage"], "DecodeImage must be the first"),
        (["ToCHWImage", {"CropImage": {"size": 8}}], "put CropImage before ToCHWImage"),
        ([{"DecodeImage": {"channel_first": True}}, {"CropImage": {"size": 8}}], "channel_first"),
        ([{"ResizeImage": {"resize_short": 8}}, {"CropImage": {"size": 9}}], "smaller"),
        (["NormalizeImage"], "order: ''"),
        ([{"DecodeImage": {"channel_num": 1}}, NORMALIZE], "1 channel"),
    ],
)
def test_refuses_lists_that_do_not_fit_together(
    values: List[Any], message: str, parts: Parts
) -> None:
    with pytest.raises(ConfigError, match=message):
        Pipeline(parts(*values))


def test_small_images_are_bad_images(photo: np.ndarray, encode: Encode, parts: Parts) -> None:
    pipeline = Pipeline(parts({"CropImage": {"size": 28}}))
    with pytest.raises(BadImageError, match="32 x 24 pixels .* put ResizeImage before"):
        pipeline(encode(photo, "PNG"))


OFFICIAL = [
    [
        {"DecodeImage": {"to_np": False, "channel_first": False, "backend": "pil"}},
        {"RandCropImage": {"size": 224, "interpolation": "bicubic", "backend": "pil"}},
        {"RandFlipImage": {"flip_code": 1}},
        {"ColorJitter": {"brightness": 1, "contrast": [0, 2], "saturation": 0.4, "p": 1}},
        NORMALIZE,
    ],
    [
        {"DecodeImage": {"to_rgb": True, "to_np": False, "channel_first": False}},
        {"RandCropImage": {"size": [224, 224], "scale": [0.08, 1], "ratio": [0.75, 1.333]}},
        {"NormalizeImage": {"scale": 0.00392157, "mean": [0, 0, 0], "std": [1, 1, 1], "order": ""}},
    ],
    [
        {"ResizeImage": {"resize_short": 256, "interpolation": "bicubic", "backend": "pil"}},
        {"CropImage": {"size": 224}},
        NORMALIZE,
        {"ToCHWImage": None},
    ],
    [
        "DecodeImage",
        {"ResizeImage": {"size": [224, 224], "return_numpy": False, "interpolation": "LANCZOS"}},
        {"NormalizeImage": {"order": None}},
        "ToCHWImage",
    ],
]


@pytest.mark.parametrize("values", OFFICIAL)
def test_lists_as_published_recipes_write_them(
    values: List[Any], photo: np.ndarray, encode: Encode, parts: Parts
) -> None:
    result = Pipeline(parts(*values))(encode(photo, "JPEG"), np.random.default_rng(0))
    assert result.shape == (3, 224, 224) and result.dtype == np.float32
    assert np.isfinite(result).all() and result.std() > 0


def test_every_size_goes_through(encode: Encode, parts: Parts) -> None:
    pipeline = Pipeline(parts(*EVAL))
    for size in ((1, 1), (1, 300), (300, 1), (16, 16), (17, 1000)):
        assert pipeline(encode(Image.new("RGB", size), "PNG")).shape == (3, 16, 16)


def test_levels_may_stay_uint8(parts: Any, photo: np.ndarray, encode: Any) -> None:
    ops = parts("DecodeImage", {"CropImage": {"size": 8}})
    pipeline = Pipeline(ops, output_dtype="uint8")
    data, out = encode(photo, "PNG"), np.zeros((3, 8, 8), np.uint8)
    image = pipeline(data)
    assert (
        image.dtype == pipeline.output_dtype == np.uint8 and Pipeline(ops).output_dtype == "float32"
    )
    np.testing.assert_array_equal(image, photo[8:16, 12:20].transpose(2, 0, 1))
    np.testing.assert_array_equal(pipeline(data, out=out), image)
    normalize = {"NormalizeImage": {"order": ""}}
    with pytest.raises(ConfigError, match="float32 images come out .* remove NormalizeImage"):
        Pipeline(parts("DecodeImage", normalize), output_dtype="uint8")
