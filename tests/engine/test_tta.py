"""The mean over several views of each image, against a calculation with NumPy and OpenCV."""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, List, Tuple

import cv2
import numpy as np
import paddle
import pytest
from paddle import nn

import ppcls
from ppcls.arch.network import Network
from ppcls.config import as_config
from ppcls.data.batch import Batch
from ppcls.engine.builder import build_eval, check_images_fit
from ppcls.engine.evaluator import evaluate_network
from ppcls.engine.scoring import score
from ppcls.engine.trained import eval_transform, load_trained
from ppcls.engine.tta import AveragedViews, Views, views_of
from ppcls.engine.world import World
from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.metric import CombinedMetric
from ppcls.registry import register

Recipe = Dict[str, Any]


def sized(recipe: Recipe, *ops: Dict[str, Any]) -> Recipe:
    """The recipe with other ops between decoding and normalising in evaluation."""
    first, *_, last = recipe["DataLoader"]["Eval"]["dataset"]["transform_ops"]
    recipe["DataLoader"]["Eval"]["dataset"]["transform_ops"] = [first, *ops, last]
    return recipe


def roomy(recipe: Recipe, short: int = 40, size: int = 32) -> Recipe:
    return sized(recipe, {"ResizeImage": {"resize_short": short}}, {"CropImage": {"size": size}})


def found_views(recipe: Recipe, network: Any, **section: Any) -> Any:
    """What `views_of` returns for a section TTA."""
    config = as_config({**recipe, "TTA": section})
    return views_of(config, network, eval_transform(config))


@pytest.fixture(scope="module")
def network() -> Any:
    """LeNet with random weights, whose answers differ much from image to image."""
    paddle.seed(0)
    made: Any = ppcls.create_model("LeNet", class_num=4, in_channels=1)
    made.head.fc.weight.set_value(made.head.fc.weight * 5)
    made.eval()
    return made


def noise(side: int, count: int = 3) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(0, 1, (count, 1, side, side))
    return np.stack([cv2.GaussianBlur(one[0], (0, 0), 2)[None] for one in drawn]).astype("float32")


def probabilities(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits.astype(np.float64))
    return exponents / exponents.sum(axis=1, keepdims=True)


def answer(network: Any, images: np.ndarray) -> np.ndarray:
    """The network's probabilities, image by image."""
    with paddle.no_grad():
        rows = [network(paddle.to_tensor(one[None].copy())).numpy()[0] for one in images]
    return probabilities(np.stack(rows))


def resized(images: np.ndarray, side: int) -> np.ndarray:
    found = [cv2.resize(one[0], (side, side), interpolation=cv2.INTER_LINEAR) for one in images]
    return np.stack(found)[:, None]


def five(images: np.ndarray) -> List[np.ndarray]:
    """Five crops of 32 pixels of images of 40."""
    return [
        images[:, :, 0:32, 0:32],
        images[:, :, 0:32, 8:40],
        images[:, :, 8:40, 0:32],
        images[:, :, 8:40, 8:40],
        images[:, :, 4:36, 4:36],
    ]


def mirrored(images: np.ndarray) -> np.ndarray:
    return images[:, :, :, ::-1]


CASES: List[Tuple[Dict[str, Any], Callable[[np.ndarray], List[np.ndarray]]]] = [
    ({"flip": True}, lambda x: [x, mirrored(x)]),
    ({"scales": [1.0, 1.25]}, lambda x: [x, resized(x, 40)]),
    ({"scales": [1.11]}, lambda x: [resized(x, 36)]),
    ({"crops": 5}, five),
    ({"crops": 5, "flip": True}, lambda x: [*five(x), *map(mirrored, five(x))]),
    (
        {"crops": 5, "flip": True, "scales": [1.0, 1.5]},
        lambda x: [
            view
            for crop in [*five(x), *map(mirrored, five(x))]
            for view in (crop, resized(crop, 48))
        ],
    ),
]


@pytest.mark.parametrize(("section", "views"), CASES)
def test_the_answer_is_the_mean_of_the_probabilities_of_the_views(
    section: Dict[str, Any], views: Any, recipe: Recipe, network: Any
) -> None:
    found = found_views(roomy(recipe), network, **section)
    images = noise(40 if "crops" in section else 32)
    each = np.stack([answer(network, one) for one in views(images)])
    with paddle.no_grad():
        logits = AveragedViews(network, found)(paddle.to_tensor(images)).numpy()
    assert found.count == len(each)
    np.testing.assert_allclose(probabilities(logits), each.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1, rtol=1e-5)
    assert len(each) == 1 or np.abs(each - each.mean(axis=0)).max() > 0.01


def test_of_classes_that_do_not_exclude_each_other_each_has_its_mean(
    recipe: Recipe, network: Any
) -> None:
    found = found_views(roomy(recipe), network, flip=True)
    images = noise(32)
    with paddle.no_grad():
        each = [network(paddle.to_tensor(one)) for one in (images, mirrored(images).copy())]
        expected = np.mean([paddle.nn.functional.sigmoid(one).numpy() for one in each], axis=0)
        logits = AveragedViews(network, found, multi_label=True)(paddle.to_tensor(images)).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected, rtol=1e-4, atol=1e-6)
    certain = AveragedViews(Extreme(), found, multi_label=True)
    one_sided = paddle.to_tensor(np.tile([900, 900, 0, 0], (1, 1, 4, 1)).astype("float32"))
    np.testing.assert_allclose(certain(one_sided).numpy(), [[0, 0]], atol=1e-3)


def test_ten_crops_are_the_corners_the_middle_and_their_mirror_images(
    recipe: Recipe, network: Any
) -> None:
    transform = eval_transform(as_config(roomy(recipe)))
    views = Views(True, 5, (1.0,), (4, 4), transform)
    image = paddle.arange(36, dtype="float32").reshape([1, 1, 6, 6])
    found = [view.numpy()[0, 0].astype(int).tolist() for view in views.of(image)]
    assert [crop[0] for crop in found[1::2]] == [
        [0, 1, 2, 3],
        [2, 3, 4, 5],
        [12, 13, 14, 15],
        [14, 15, 16, 17],
        [7, 8, 9, 10],
    ]
    assert found[9] == [[7, 8, 9, 10], [13, 14, 15, 16], [19, 20, 21, 22], [25, 26, 27, 28]]
    assert found[8] == [[10, 9, 8, 7], [16, 15, 14, 13], [22, 21, 20, 19], [28, 27, 26, 25]]
    assert [mirror[0] for mirror in found[0::2]] == [crop[0][::-1] for crop in found[1::2]]
    assert len(found) == views.count == 10


@pytest.mark.parametrize("short", [33, 35, 40])
def test_the_middle_is_that_of_the_transforms(short: int, recipe: Recipe, network: Any) -> None:
    views = found_views(roomy(recipe, short), network, crops=5)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 1), np.uint8)
    plain, room = eval_transform(as_config(recipe)), views.transform
    assert plain.output_size == (32, 32) and room.output_size == (short, short)
    *_, last = views.of(paddle.to_tensor(room(pixels)[None]))
    np.testing.assert_array_equal(last.numpy()[0], plain(pixels))


@pytest.mark.parametrize(
    ("section", "count", "shown"),
    [
        ({"flip": True}, 2, [(32, 32)]),
        ({"crops": 5}, 5, [(32, 32)]),
        ({"flip": True, "crops": 5}, 10, [(32, 32)]),
        (
            {"flip": True, "crops": 5, "scales": [1.0, 1.11, 1.27]},
            30,
            [(32, 32), (36, 36), (41, 41)],
        ),
    ],
)
def test_how_many_views_there_are(
    section: Dict[str, Any], count: int, shown: Any, recipe: Recipe, network: Any
) -> None:
    views = found_views(roomy(recipe), network, **section)
    found = list(views.of(paddle.zeros([2, 1, 40, 40] if "crops" in section else [2, 1, 32, 32])))
    assert views.count == len(found) == count and views.describe().startswith(f"{count} (")
    assert {tuple(view.shape) for view in found} == {(2, 1, *size) for size in shown}
    assert tuple(found[-1].shape[2:]) == (32, 32)


@pytest.mark.parametrize("section", [{}, {"flip": False, "crops": 1, "scales": [1]}])
def test_nothing_is_averaged_unless_asked_for(
    section: Dict[str, Any], recipe: Recipe, network: Any
) -> None:
    assert found_views(recipe, network, **section) is None
    assert views_of(as_config(recipe), network, eval_transform(as_config(recipe))) is None


@pytest.mark.parametrize(
    ("ops", "found"),
    [
        ([{"ResizeImage": {"size": 32}}], "ResizeImage: {size: 32}"),
        ([{"CropImageAtRatio": {"size": 32, "pad": 4}}], "CropImageAtRatio: {size: 32}"),
        (
            [{"ResizeImage": {"resize_short": 32}}, {"CropImage": {"size": 32}}],
            "ResizeImage: {resize_short: 32}, CropImage: {size: 32}",
        ),
        (
            [{"ResizeImage": {"size": 40}}, {"CropImage": {"size": 32}}],
            "ResizeImage: {size: 40}, CropImage: {size: 32}",
        ),
        (
            [
                {"ResizeImage": {"resize_short": 40}},
                {"CropImage": {"size": 24}},
                {"ResizeImage": {"size": 32}},
            ],
            "CropImage: {size: 24}, ResizeImage: {size: 32}",
        ),
    ],
)
def test_five_crops_need_a_larger_image(
    ops: List[Dict[str, Any]], found: str, recipe: Recipe, network: Any
) -> None:
    with pytest.raises(ConfigError) as caught:
        found_views(sized(recipe, *ops), network, crops=5)
    text = str(caught.value)
    assert text.startswith("TTA.crops: five crops are taken from an image that is larger")
    assert "ResizeImage: {resize_short: R}, CropImage: {size: S}" in text
    assert "it is DecodeImage, " in text and f"{found}, NormalizeImage" in text
    assert text.endswith("-o TTA.crops=1")


def test_sizes_that_the_network_does_not_take(recipe: Recipe, network: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        found_views(recipe, network, scales=[1.0, 0.875])
    assert str(caught.value) == (
        "TTA.scales: 0.875 times 32x32 pixels are 28x28; LeNet needs at least 32x32. Leave this "
        "factor out"
    )


class FixedSize(nn.Layer):
    def __init__(self, class_num: int = 4) -> None:
        super().__init__()
        self.fc = nn.Linear(32 * 32, class_num)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        return self.fc(images.flatten(1))


@pytest.mark.usefixtures("own_parts")
def test_networks_of_one_size_are_refused_other_sizes(recipe: Recipe) -> None:
    register("arch", "FixedSize")(FixedSize)
    network = ppcls.create_model("FixedSize")
    assert found_views(roomy(recipe), network, flip=True, crops=5).count == 10
    with pytest.raises(ConfigError, match=r"^TTA\.scales:\s+the network FixedSize fails with two"):
        found_views(recipe, network, scales=[1.0, 1.5])


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"crops": 3}, "TTA.crops: must be 1 or 5, got 3"),
        ({"scales": []}, "TTA.scales: "),
        ({"scales": [0.0]}, "TTA.scales.0: must be greater than 0"),
        ({"flips": True}, "TTA.flips: unknown key 'flips'. Did you mean 'flip'?"),
    ],
)
def test_mistakes_in_the_section(section: Dict[str, Any], says: str, recipe: Recipe) -> None:
    with pytest.raises(ConfigError) as caught:
        as_config({**recipe, "TTA": section})
    assert says in str(caught.value)


class Extreme(nn.Layer):
    """Certain of class 0 where the image's left half is lighter, else of class 1."""

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        half = images.shape[3] // 2
        lead = images[:, 0, :, :half].sum([1, 2]) - images[:, 0, :, half:].sum([1, 2])
        return paddle.stack([lead, -lead], axis=1)


def test_certain_answers_stay_finite(recipe: Recipe) -> None:
    views = Views(True, 1, (1.0,), (4, 4), eval_transform(as_config(recipe)))
    one_sided = paddle.to_tensor(np.tile([900, 900, 0, 0], (1, 1, 4, 1)).astype("float32"))
    logits = AveragedViews(Extreme(), views)(one_sided).numpy()
    np.testing.assert_allclose(logits, np.log([[0.5, 0.5]]), rtol=1e-6)
    alone = Views(False, 1, (1.0,), (4, 4), views.transform)
    logits = AveragedViews(Extreme(), alone)(one_sided).numpy()
    np.testing.assert_allclose(logits, [[0.0, -2 * 7200.0]])


class TwoHeads(nn.Layer):
    def __init__(self, as_dict: bool) -> None:
        super().__init__()
        self.as_dict = as_dict

    def forward(self, images: paddle.Tensor) -> Any:
        logits = Extreme()(images)
        return {"logits": logits, "more": -logits} if self.as_dict else [logits, -logits]


@pytest.mark.parametrize("as_dict", [True, False])
def test_the_main_head_is_averaged(as_dict: bool, recipe: Recipe) -> None:
    views = Views(True, 1, (1.0,), (4, 4), eval_transform(as_config(recipe)))
    images = paddle.rand([2, 1, 4, 4])
    found = AveragedViews(TwoHeads(as_dict), views)(images)
    np.testing.assert_array_equal(found.numpy(), AveragedViews(Extreme(), views)(images).numpy())


class Small(Network):
    stages = ("conv", "norm")

    def __init__(self) -> None:
        super().__init__(class_num=4, in_channels=1)
        self.conv, self.norm = nn.Conv2D(1, 4, 3), nn.BatchNorm2D(4)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(4, 4))


@pytest.mark.parametrize("training", [True, False])
def test_the_networks_mode_is_what_it_was(training: bool, recipe: Recipe) -> None:
    network = Small()
    network.held_in_evaluation = (network.norm,)
    network.train() if training else network.eval()
    before = [layer.training for layer in network.sublayers(include_self=True)]
    views = Views(True, 1, (1.0,), (32, 32), eval_transform(as_config(recipe)))
    images, labels = noise(32), Labels(LabelKind.HARD, np.array([0, 1, 2]))
    batch = Batch(images, labels, np.arange(3), 0, [])
    averaged, metric = AveragedViews(network, views), CombinedMetric([])
    seen: List[bool] = []
    observers = [lambda batch, outputs: seen.append(network.training or averaged.training)]
    evaluate_network(averaged, [batch], metric, None, World(), observers)
    assert seen == [False] and averaged.training == training
    assert [layer.training for layer in network.sublayers(include_self=True)] == before
    assert training == any(before)


def test_embeddings_are_those_of_the_plain_image(trained: Any, recipe: Recipe) -> None:
    recipe["Global"]["output_dir"] = trained.recipe["Global"]["output_dir"]
    config = as_config({**roomy(recipe), "TTA": {"flip": True, "crops": 5, "scales": [1.0, 1.25]}})
    found = load_trained(config, eval_transform(config))
    loader = build_eval(config, found.class_map, World())
    plain = score(found.network, loader, World(), embeddings=True)
    views = views_of(config, found.network, loader.dataset.transform)
    assert views is not None
    before = loader.dataset
    loader.dataset = views.dataset_of(before)
    averaged = score(AveragedViews(found.network, views), loader, World(), embeddings=True)
    assert before.transform.output_size == (32, 32)
    assert loader.dataset.transform.output_size == (40, 40)
    np.testing.assert_allclose(averaged.embeddings, plain.embeddings, atol=1e-5)
    assert np.abs(averaged.probabilities - plain.probabilities).max() > 0.01


def test_prediction_and_export_prepare_images_as_ever(recipe: Recipe, network: Any) -> None:
    config = as_config({**roomy(recipe), "TTA": {"crops": 5}})
    assert eval_transform(config).output_size == (32, 32)
    check_images_fit(config, network, eval_transform(config), "Eval")


def test_a_loss_that_looks_at_each_logit_alone_gets_a_warning(
    recipe: Recipe, network: Any, caplog: pytest.LogCaptureFixture
) -> None:
    recipe["Loss"]["Eval"] = [{"CELoss": None}, {"BCELoss": None}]
    with caplog.at_level(logging.WARNING, "ppcls"):
        found_views(recipe, network, flip=True)
    assert [one.getMessage().partition(":")[0] for one in caplog.records] == ["Loss.Eval.1"]
