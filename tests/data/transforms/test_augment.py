"""RandAugment and TrivialAugment: each change against NumPy, the draws against their tables."""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
from PIL import Image

from ppcls.data.transforms import Pipeline, changes
from ppcls.data.transforms.augment import (
    AugMix,
    AutoAugment,
    RandAugment,
    RandAugmentV2,
    RandAugmentV3,
    TrivialAugment,
)
from ppcls.data.transforms.changes import CHANGES
from ppcls.errors import ConfigError

FILL = (10, 128, 250)
GREY_WEIGHTS = np.array([0.299, 0.587, 0.114])
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13


def change(name: str, image: np.ndarray, amount: float = 0.0) -> np.ndarray:
    return np.asarray(CHANGES[name](Image.fromarray(image), amount, FILL)).astype(int)


def blended(image: np.ndarray, other: np.ndarray, factor: float) -> np.ndarray:
    return np.clip(other + factor * (image - other), 0, 255)


def grey(image: np.ndarray) -> np.ndarray:
    return np.rint(image @ GREY_WEIGHTS)[:, :, None]


def smoothed(image: np.ndarray) -> np.ndarray:
    """The mean of the nine pixels around each, its own with five times the weight."""
    found = image.astype(float)
    inner = sum(
        SMOOTH[i, j] * image[i : i + len(image) - 2, j : j + image.shape[1] - 2]
        for i in range(3)
        for j in range(3)
    )
    found[1:-1, 1:-1] = np.rint(inner)
    return found


@pytest.mark.parametrize("factor", [0.1, 0.75, 1.0, 1.9])
@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("brightness", lambda image: 0 * image),
        ("color", lambda image: grey(image) + 0 * image),
        ("contrast", lambda image: 0 * image + int(grey(image).mean() + 0.5)),
        ("sharpness", smoothed),
    ],
)
def test_enhancements(name: str, other: Callable[..., Any], factor: float, photo: Any) -> None:
    wanted = blended(photo.astype(float), other(photo.astype(float)), factor)
    assert np.abs(change(name, photo, factor) - wanted).max() <= 2  # rounded once or twice


@pytest.mark.parametrize("bits", [0, 1, 4, 8])
def test_posterize(bits: int, photo: np.ndarray) -> None:
    wanted = photo.astype(int) >> (8 - bits) << (8 - bits)
    np.testing.assert_array_equal(change("posterize", photo, bits), wanted)


@pytest.mark.parametrize("level", [0.0, 100.0, 255.0, 256.0])
def test_solarize(level: float, photo: np.ndarray) -> None:
    wanted = np.where(photo < level, photo, 255 - photo)
    np.testing.assert_array_equal(change("solarize", photo, level), wanted)


def test_invert_and_identity(photo: np.ndarray) -> None:
    np.testing.assert_array_equal(change("invert", photo), 255 - photo.astype(int))
    np.testing.assert_array_equal(change("identity", photo, 3), photo)


def test_autocontrast_uses_all_levels(photo: np.ndarray) -> None:
    dull = (photo // 2 + 60).astype(np.uint8)
    low, high = dull.min((0, 1)).astype(float), dull.max((0, 1)).astype(float)
    wanted = (dull - low) * 255 / (high - low)
    assert np.abs(change("autocontrast", dull) - wanted).max() <= 1


def test_equalize_makes_levels_equally_frequent() -> None:
    dark = (np.random.default_rng(0).beta(1, 4, (64, 64, 3)) * 255).astype(np.uint8)
    found = change("equalize", dark)
    counts = np.histogram(found[:, :, 0], 8, (0, 256))[0]
    assert counts.min() > 0.7 * counts.max() > 0
    assert np.histogram(dark[:, :, 0], 8, (0, 256))[0].min() < 10


@pytest.mark.parametrize("pixels", [0, 3, -5])
@pytest.mark.parametrize("axis", [0, 1])
def test_translation(axis: int, pixels: int, photo: np.ndarray) -> None:
    found = change("translate x" if axis else "translate y", photo, pixels)
    wanted = np.empty_like(photo)
    wanted[:] = FILL
    length = photo.shape[axis]
    for place in range(length):
        if 0 <= place + pixels < length:
            target = (slice(None), place) if axis else (place,)
            source = (slice(None), place + pixels) if axis else (place + pixels,)
            wanted[target] = photo[source]
    inner = slice(2, -2)
    if axis:
        np.testing.assert_array_equal(found[inner, 7:-7], wanted[inner, 7:-7])
    else:
        np.testing.assert_array_equal(found[7:-7, inner], wanted[7:-7, inner])
    if pixels:
        edge = -1 if pixels > 0 else 0
        assert tuple(found[5, edge] if axis else found[edge, 5]) == FILL


def test_rotation_by_a_quarter() -> None:
    square = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(change("rotate", square, 90), np.rot90(square))


@pytest.mark.parametrize("name", ["shear x", "shear y"])
def test_shear_moves_each_row_by_its_distance(name: str) -> None:
    ramp = np.broadcast_to(np.arange(0, 240, 6, dtype=np.uint8)[None, :, None], (40, 40, 3)).copy()
    image = ramp if name == "shear x" else ramp.transpose(1, 0, 2).copy()
    found = change(name, image, 0.25)
    found = found if name == "shear x" else found.transpose(1, 0, 2)
    # The pixel at (x, y) comes from x + 0.25 y, where the level is 6 times that.
    for row in (4, 12, 20):
        assert np.abs(found[row, 3:20, 0] - (np.arange(3, 20) + 0.25 * row) * 6).max() <= 1.5


# --- the draws ------------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> List[Tuple[str, float]]:
    """What is asked of Pillow, which then does nothing."""
    calls: List[Tuple[str, float]] = []

    def note(name: str) -> Any:
        return lambda image, amount, fill: (calls.append((name, amount)), image)[1]

    monkeypatch.setattr(changes, "CHANGES", {name: note(name) for name in CHANGES})
    return calls


def amounts(calls: List[Tuple[str, float]]) -> Dict[str, List[float]]:
    found: Dict[str, List[float]] = {}
    for name, amount in calls:
        found.setdefault(name, []).append(amount)
    return found


def test_rand_augment_draws_layers_of_one_strength(drawn: Any, photo: np.ndarray) -> None:
    op, rng = RandAugment(num_layers=3, magnitude=5), np.random.default_rng(0)
    for _ in range(700):
        op(photo, rng)
    assert len(drawn) == 2100
    counts = Counter(name for name, _ in drawn)
    assert len(counts) == 14 and min(counts.values()) > 100 and max(counts.values()) < 200
    found = {name: sorted(set(np.round(values, 6))) for name, values in amounts(drawn).items()}
    height, width = photo.shape[:2]
    assert found["shear x"] == found["shear y"] == [-0.15, 0.15]
    assert found["translate x"] == [-round(75 / 331 * width, 6), round(75 / 331 * width, 6)]
    assert found["translate y"] == [-round(75 / 331 * height, 6), round(75 / 331 * height, 6)]
    assert found["rotate"] == [15] and found["posterize"] == [2] and found["solarize"] == [128]
    for name in ("color", "contrast", "brightness", "sharpness"):
        assert found[name] == [0.55, 1.45]
    assert {"autocontrast", "equalize", "invert"} < set(found) and "identity" not in found


def test_rand_augment_v2_goes_beyond_ten(drawn: Any, photo: np.ndarray) -> None:
    op, rng = RandAugmentV2(num_layers=2, magnitude=15), np.random.default_rng(0)
    for _ in range(800):
        op(photo, rng)
    found = {name: sorted(set(np.round(values, 6))) for name, values in amounts(drawn).items()}
    assert len(found) == 15 and len(drawn) == pytest.approx(1600 * 15 / 16, rel=0.03)
    assert found["shear x"] == [-0.45, 0.45] and found["translate y"] == [-150, 150]
    assert found["rotate"] == [-45, 45] and found["posterize"] == [6]
    assert found["solarize"] == [384] and found["solarize add"] == [165]
    assert all(found[name] == [2.8] for name in ("color", "contrast", "brightness", "sharpness"))


def test_rand_augment_v2_gets_stronger(drawn: Any, photo: np.ndarray) -> None:
    op = RandAugmentV2(1, progress_magnitude=[5, 10, 15])
    for progress, expected in ((0, 15), (0.34, 30), (0.67, 45), (1.0, 45)):
        drawn.clear()
        now, rng = op.at(progress), np.random.default_rng(0)
        for _ in range(200):
            now(photo, rng)
        assert {abs(amount) for name, amount in drawn if name == "rotate"} == {expected}


def test_rand_augment_v3_begins_at_none(drawn: Any, photo: np.ndarray) -> None:
    for magnitude, posterize, solarize in ((0, 8, 255), (3, 7, 178.5), (10, 4, 0)):
        drawn.clear()
        op, rng = RandAugmentV3(num_layers=1, magnitude=magnitude), np.random.default_rng(0)
        for _ in range(500):
            op(photo, rng)
        found = amounts(drawn)
        assert len(found) == 14
        assert set(found["posterize"]) == {posterize} and set(found["solarize"]) == {solarize}
        assert set(np.abs(found["rotate"])) == {3 * magnitude}
    assert min(found["rotate"]) == -30 and op.fillcolor == [0, 0, 0]


def test_shadows_get_lighter(photo: np.ndarray) -> None:
    wanted = np.where(photo < 128, np.minimum(photo.astype(int) + 40, 255), photo)
    np.testing.assert_array_equal(change("solarize add", photo, 40.7), wanted)


def test_a_square_is_filled(drawn: Any, photo: np.ndarray) -> None:
    """The other changes do nothing here."""
    image, rng = np.zeros((200, 200, 3), np.uint8), np.random.default_rng(0)
    op = RandAugmentV2(num_layers=1, magnitude=5)
    areas = [int((op(image, rng)[:, :, 0] == 128).sum()) for _ in range(800)]
    squares = [area for area in areas if area]
    assert len(squares) == pytest.approx(800 / 16, rel=0.3)
    assert max(squares) == 40 * 40 and min(squares) < 1600


def test_trivial_augment_draws_one_change_of_any_strength(drawn: Any, photo: np.ndarray) -> None:
    op, rng = TrivialAugment(), np.random.default_rng(0)
    for _ in range(3000):
        op(photo, rng)
    assert len(drawn) == 3000
    found = amounts(drawn)
    assert len(found) == 14 and min(map(len, found.values())) > 150
    for name, most in (("shear x", 0.99), ("translate y", 32.0), ("rotate", 135.0)):
        assert max(found[name]) == pytest.approx(most) and min(found[name]) == pytest.approx(-most)
        assert len({round(abs(value), 6) for value in found[name]}) == 31
    assert max(found["color"]) == pytest.approx(1.99) and min(found["color"]) == pytest.approx(0.01)
    assert set(found["posterize"]) == set(range(2, 9))
    assert max(found["solarize"]) == 255 and min(found["solarize"]) == 0


def test_auto_augment_draws_the_pairs_of_the_paper(drawn: Any, photo: np.ndarray) -> None:
    op, rng, pairs = AutoAugment(), np.random.default_rng(0), Counter[Any]()
    for _ in range(5000):
        drawn.clear()
        op(photo, rng)
        pairs[tuple(name for name, _ in drawn)] += 1
        for name, amount in drawn:
            if name == "posterize":  # levels 5 to 8 of 9: 8 - 4 * level / 9 bits
                assert amount in (6, 5, 4)
            if name == "rotate":
                assert round(amount) in (10, 27, 30)
    # Six rows hold solarize; "shear x" alone stands in one, with 0.6: 1/25 * 0.6.
    found = sum(count for names, count in pairs.items() if "shear x" in names)
    assert found / 5000 == pytest.approx(0.6 / 25, abs=0.008)
    # "invert, equalize" stands in two rows, with 0.6 and 1.0.
    assert pairs["invert", "equalize"] / 5000 == pytest.approx(2 * 0.6 / 25, abs=0.012)
    assert max(len(names) for names in pairs) == 2 and pairs[()] > 0
    assert not {"translate x", "translate y", "shear y", "brightness"} & {
        name for names in pairs for name in names
    }


def test_aug_mix_draws_chains_of_weak_changes(drawn: Any, photo: np.ndarray) -> None:
    op, rng = (
        AugMix(1.0, mixture_width=4, mixture_depth=2, aug_severity=5),
        np.random.default_rng(0),
    )
    for _ in range(200):
        # Where no change does anything, neither does the mixture.
        np.testing.assert_array_equal(op(photo, rng), photo)
    assert len(drawn) == 200 * 4 * 2
    found = amounts(drawn)
    assert len(found) == 9 and min(map(len, found.values())) > 100
    assert 13 <= max(found["rotate"]) <= 15 and -15 <= min(found["rotate"]) <= -13
    assert set(found["posterize"]) == {3, 4} and 128 <= min(found["solarize"]) < 150
    assert max(found["solarize"]) > 240 and 0.13 < max(found["shear x"]) <= 0.15
    assert 0.4 < max(found["translate y"]) / (photo.shape[0] / 6) <= 1
    drawn.clear()
    op = AugMix(1.0, mixture_width=1, mixture_depth=0)
    depths = Counter[int]()
    for _ in range(300):
        before = len(drawn)
        op(photo, rng)
        depths[len(drawn) - before] += 1
    assert set(depths) == {1, 2, 3} and min(depths.values()) > 70
    drawn.clear()
    rare = AugMix(0.25, mixture_width=1)
    for _ in range(400):
        rare(photo, rng)
    assert len(drawn) == pytest.approx(100, abs=25)


def test_aug_mix_lies_between_the_image_and_the_mixture(
    monkeypatch: pytest.MonkeyPatch, photo: np.ndarray
) -> None:
    black = {name: lambda image, amount, fill: image.point(lambda _: 0) for name in CHANGES}
    monkeypatch.setattr(changes, "CHANGES", black)
    op, parts = AugMix(1.0, aug_prob_coeff=1.0), []
    for seed in range(200):
        mixed = op(photo, np.random.default_rng(seed)).astype(float)
        part = mixed.sum() / photo.sum()
        assert np.abs(mixed - part * photo).max() <= 1
        parts.append(part)
    # Beta(1, 1) is uniform.
    assert np.mean(parts) == pytest.approx(0.5, abs=0.08)
    assert np.std(parts) == pytest.approx(12**-0.5, abs=0.04)


@pytest.mark.parametrize(
    "op",
    [
        RandAugment(2, 9),
        RandAugmentV2(2, 15),
        RandAugmentV2(2, 30),
        RandAugmentV3(2, 9),
        TrivialAugment(),
        AutoAugment(),
        AugMix(1.0, aug_severity=10, mixture_depth=-1),
        AugMix(0.5),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_generator_alone_decides(op: Any, channels: int, photo: np.ndarray) -> None:
    image = np.ascontiguousarray(photo[:, :, :channels])
    before = image.copy()
    for seed in range(30):
        one, other = (op(image, np.random.default_rng(seed)) for _ in range(2))
        assert one.shape == image.shape and one.dtype == np.uint8
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("ops", "says"),
    [
        ([{"RandAugment": {"fillcolor": [1, 2]}}], "RandAugment.fillcolor: .* no colour"),
        ([{"TrivialAugment": {"fillcolor": [1, 2, 256]}}], "TrivialAugment.fillcolor"),
        ([{"NormalizeImage": {"order": ""}}, "TrivialAugment"], "before NormalizeImage"),
        ([{"DecodeImage": {"channel_first": True}}, "RandAugment"], "before ToCHWImage"),
    ],
)
def test_what_makes_no_sense_is_refused(ops: Any, says: str, parts: Any) -> None:
    with pytest.raises(ConfigError, match=says):
        Pipeline(parts(*ops))


def test_in_a_list(photo: np.ndarray, encode: Any, parts: Any) -> None:
    ops = [{"RandCropImage": {"size": 16}}, {"RandAugment": {"num_layers": 2, "magnitude": 9}}]
    pipeline = Pipeline(parts(*ops, {"NormalizeImage": {"order": ""}}))
    assert pipeline.is_random and pipeline.finish is not None
    images = [pipeline(photo, np.random.default_rng(seed)) for seed in range(5)]
    assert len({image.tobytes() for image in images}) == 5
