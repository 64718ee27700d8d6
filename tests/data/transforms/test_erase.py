"""What hides parts of an image: where, how much, and with what."""

from __future__ import annotations

from typing import Any, Literal, Sequence

import numpy as np
import pytest
from PIL import Image

from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.erase import Cutout, GridMask, HideAndSeek, RandomErasing
from ppcls.errors import ConfigError

IMAGE = np.full((40, 60, 3), 0.5, np.float32)


def hidden(result: np.ndarray, image: np.ndarray = IMAGE) -> np.ndarray:
    """Which pixels differ."""
    found: np.ndarray = (result != image).any(axis=2)
    return found


def test_a_rectangle_of_the_drawn_size_and_proportions() -> None:
    op, rng = RandomErasing(EPSILON=1.0, sl=0.1, sh=0.3, r1=0.5), np.random.default_rng(0)
    areas, ratios, tops = [], [], []
    for _ in range(400):
        mask = hidden(op(IMAGE, rng))
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert mask.sum() == height * width
        areas.append(mask.mean())
        ratios.append(height / width)
        tops.append(rows[0])
    assert 0.09 < min(areas) < 0.13 and 0.27 < max(areas) < 0.32
    assert 0.45 < min(ratios) < 0.6 and 1.8 < max(ratios) < 2.2
    assert min(tops) == 0 and np.mean(areas) == pytest.approx(0.2, abs=0.02)


def test_logarithm_of_the_proportions() -> None:
    def wide(use_log: bool) -> float:
        op = RandomErasing(EPSILON=1, sl=0.1, sh=0.1, r1=0.3, use_log_aspect=use_log)
        rng = np.random.default_rng(1)
        masks = [hidden(op(IMAGE, rng)) for _ in range(400)]
        return float(np.mean([mask.any(0).sum() > mask.any(1).sum() for mask in masks]))

    assert wide(True) == pytest.approx(0.5, abs=0.08)
    # Uniform over 0.3 to 3.33, a quarter is below 1.
    assert wide(False) == pytest.approx(0.7 / 3.03, abs=0.08)


def test_how_often() -> None:
    op, rng = RandomErasing(EPSILON="1/4"), np.random.default_rng(0)
    count = sum(hidden(op(IMAGE, rng)).any() for _ in range(800))
    assert 160 < count < 240


def test_what_fills_it() -> None:
    rng = np.random.default_rng(0)
    const = RandomErasing(EPSILON=1, mean=[1.0, 2.0, 3.0])(IMAGE, rng)
    assert np.unique(const[hidden(const)], axis=0).tolist() == [[1, 2, 3]]
    rand = RandomErasing(EPSILON=1, mode="rand")(IMAGE, rng)
    assert len(np.unique(rand[hidden(rand)], axis=0)) == 1
    noise = np.concatenate(
        [
            result[hidden(result)]
            for result in (
                RandomErasing(EPSILON=1, sl=0.3, mode="pixel")(IMAGE, rng) for _ in range(20)
            )
        ]
    )
    assert noise.mean() == pytest.approx(0, abs=0.03) and noise.std() == pytest.approx(1, abs=0.03)
    assert (IMAGE == 0.5).all()


def test_an_image_in_which_nothing_fits_stays() -> None:
    tiny = np.ones((1, 1, 3), np.float32)
    assert RandomErasing(EPSILON=1)(tiny, np.random.default_rng(0)) is tiny


def test_after_normalisation_in_a_list(photo: np.ndarray, parts: Any) -> None:
    erasing = {"RandomErasing": {"EPSILON": 1.0, "mode": "pixel"}}
    pipeline = Pipeline(parts({"NormalizeImage": {"order": ""}}, erasing, "ToCHWImage"))
    plain = Pipeline(parts({"NormalizeImage": {"order": ""}}, "ToCHWImage"))
    found = (pipeline(photo) != plain(photo)).any(axis=0).mean()
    assert 0.01 < found < 0.45 and pipeline.finish is None


@pytest.mark.parametrize(
    ("ops", "says"),
    [
        ([{"RandomErasing": {"EPSILON": 1.5}}], "EPSILON 1.5 must be 0 to 1"),
        ([{"RandomErasing": {"sl": 0.5, "sh": 0.2}}], "in order"),
        ([{"RandomErasing": {"r1": 0}}], "r1 0.0 above 0"),
        ([{"RandomErasing": {"mode": "pixel"}}], "put it after NormalizeImage"),
        ([{"RandomErasing": {"mean": [1.0]}}], "has 1 numbers, but the images have 3"),
        (["ToCHWImage", "RandomErasing"], "before ToCHWImage"),
    ],
)
def test_what_makes_no_sense_is_refused(ops: Any, says: str, parts: Any) -> None:
    with pytest.raises(ConfigError, match=says):
        Pipeline(parts(*ops))


def test_cutout_hides_squares_around_any_pixel() -> None:
    op, rng = Cutout(length=10), np.random.default_rng(0)
    masks = [hidden(op(IMAGE, rng)) for _ in range(500)]
    assert max(mask.sum() for mask in masks) == 100 and min(mask.sum() for mask in masks) < 45
    share = np.mean(masks, axis=0)
    # A pixel in the middle is hidden by centres of 100 pixels, one in a corner by those of 25.
    assert share[15:25, 20:40].mean() == pytest.approx(100 / 2400, abs=0.01)
    assert share[:2, :2].mean() < 0.03
    assert max(hidden(Cutout(3, 4)(IMAGE, rng)).sum() for _ in range(50)) > 32
    assert (IMAGE == 0.5).all()


def test_hide_and_seek_hides_every_second_square() -> None:
    image, op = np.ones((112, 112, 3), np.float32), HideAndSeek()
    sides, shares = set(), []
    for seed in range(300):
        mask = hidden(op(image, np.random.default_rng(seed)), image)
        if not mask.any():
            sides.add(0)
            continue
        edges = np.flatnonzero((mask[:, 1:] != mask[:, :-1]).any(axis=0)) + 1
        sides.add(int(np.gcd.reduce(edges)) if len(edges) else 0)
        shares.append(mask.mean())
    assert sides >= {0, 16, 44, 56} and {side for side in sides if side % 4} == set()
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)
    # A fifth of the grids hides nothing.
    assert len(shares) / 300 == pytest.approx(0.8, abs=0.08)


class Drawn:
    """Stands in for a generator: draws what it is given."""

    def __init__(self, distance: int, places: Sequence[int], degrees: int) -> None:
        self._integers = [distance, np.array(places), degrees]

    def random(self) -> float:
        return 0.0

    def integers(self, *arguments: Any, **options: Any) -> Any:
        return self._integers.pop(0)


@pytest.mark.parametrize("degrees", [0, 17, 90, 211])
@pytest.mark.parametrize("mode", [0, 1])
def test_grid_mask_draws_a_turned_grid(mode: Literal[0, 1], degrees: int) -> None:
    """Against bars that are drawn upright on a larger image and turned by Pillow."""
    image, distance, side = np.ones((201, 201, 3), np.uint8), 30, 401
    places = (np.arange(side) - side // 2) % distance
    upright = np.zeros((side, side), np.uint8)
    upright[places < 12] = upright[:, places < 12] = 255
    turned = np.asarray(Image.fromarray(upright).rotate(-degrees, Image.Resampling.BILINEAR))
    expected = (turned[100:301, 100:301] > 127) ^ bool(mode)
    op = GridMask(20, 40, rotate=360, ratio=0.4, mode=mode)
    found = op(image, Drawn(distance, (0, 0), degrees))  # type: ignore[arg-type]
    assert (hidden(found, image) == expected).mean() > 0.95
    assert (found[~hidden(found, image)] == 1).all()


def test_grid_mask_draws_distance_place_and_angle() -> None:
    image, op = np.ones((240, 240, 3), np.uint8), GridMask(20, 60, rotate=1, ratio=0.5)
    masks = [hidden(op(image, np.random.default_rng(seed)), image) for seed in range(60)]
    starts = [np.flatnonzero(np.diff((~mask).any(1).astype(int)) == 1) for mask in masks]
    distances = {int(np.diff(start)[0]) for start in starts}
    assert min(distances) < 25 and 54 < max(distances) < 60
    assert len({int(start[0]) for start in starts}) > 15
    assert np.mean(masks) == pytest.approx(0.75, abs=0.02)
    turned = GridMask(20, 60, rotate=90)(image, np.random.default_rng(3))
    assert hidden(turned, image).any(1).all()


def test_grid_mask_becomes_more_probable() -> None:
    image, op = np.ones((60, 60, 3), np.uint8), GridMask(10, 20, prob=0.8)
    for progress, expected in [(0.0, 0.0), (0.5, 0.4), (1.0, 0.8)]:
        now, rng = op.at(progress), np.random.default_rng(0)
        often = np.mean([hidden(now(image, rng), image).any() for _ in range(1000)])
        assert often == pytest.approx(expected, abs=0.05)
    assert op.at(0.5).prob == 0.8
    with pytest.raises(ConfigError, match="d1 is 30 and d2 30; d2 must be larger"):
        GridMask(30, 30)
