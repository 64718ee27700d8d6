"""What holds for every registered network, and what `create_model` tells its callers."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import paddle
import pytest

from ppcls import registry
from ppcls.arch import build, create_model, list_models
from ppcls.arch.network import Network
from ppcls.arch.summary import count_parameters
from ppcls.errors import PADDLE_MISSING, ConfigError

_slow = pytest.mark.slow
_PARAMETERS = {
    "LeNet": 61_706,
    "AlexNet": 61_100_840,
    "VGG11": 132_860_584,
    "VGG13": 133_044_904,
    "VGG16": 138_353_320,
    "VGG19": 143_661_736,
    "SqueezeNet1_0": 1_248_424,
    "SqueezeNet1_1": 1_235_496,
    "ResNet18": 11_693_736,
    "ResNet34": 21_801_896,
    "ResNet50": 25_557_032,
    "ResNet101": 44_549_160,
    "ResNet152": 60_192_808,
}
_HEAVY = [name for name, count in _PARAMETERS.items() if count > 3e7]
_EVERY = [pytest.param(name, marks=[_slow] if name in _HEAVY else []) for name in _PARAMETERS]
# One variant of each family stands for all where only the family's code is tested.
_FAMILIES = ["LeNet", "SqueezeNet1_0", "SqueezeNet1_1", "ResNet18", "ResNet50"]
_FAMILIES += [pytest.param(name, marks=_slow) for name in ("AlexNet", "VGG11")]  # type: ignore[misc]
_VARIANTS = [
    ("ResNet18", {"stem": "cifar", "class_num": 10}),
    ("ResNet34", {"first_projection": False, "dropout": 0.2}),
    ("SqueezeNet1_1", {"ceil_mode": True}),
    ("SqueezeNet1_0", {"ceil_mode": True, "dropout_mode": "upscale_in_train"}),
    ("LeNet", {"act": "tanh", "pool": "avg"}),
]


@pytest.mark.parametrize("name", _EVERY)
def test_trainable_parameters_are_the_published_ones(name: str) -> None:
    assert count_parameters(create_model(name)) == _PARAMETERS[name]


def test_every_registered_network_is_in_the_tests_above() -> None:
    assert set(list_models()) == set(_PARAMETERS)


def _forward(network: Network, side: int, count: int = 1) -> np.ndarray:
    images = np.random.default_rng(0).standard_normal((count, network.in_channels, side, side))
    network.eval()
    with paddle.no_grad():
        return network(paddle.to_tensor(images.astype("float32"))).numpy()


def _fits(layer: paddle.nn.Layer, side: int) -> bool:
    """Whether a window of `layer` fits into an input of that side."""
    if isinstance(layer, paddle.nn.Conv2D):
        return side + 2 * layer._padding >= layer._kernel_size[0]
    overhang = layer.stride - 1 if layer.ceil_mode else 0
    return side + 2 * layer.padding + overhang >= layer.ksize


def _every_window_fits(network: Network, side: int) -> bool:
    found: List[bool] = []
    kinds = (paddle.nn.Conv2D, paddle.nn.MaxPool2D, paddle.nn.AvgPool2D)
    hooks = [
        layer.register_forward_pre_hook(lambda its, x: found.append(_fits(its, x[0].shape[2])))
        for layer in network.sublayers()
        if isinstance(layer, kinds)
    ]
    _forward(network, side)
    for hook in hooks:
        hook.remove()
    return all(found)


def _check_sizes(network: Network) -> None:
    smallest = network.min_input_size
    assert 1 <= smallest <= network.input_size
    assert _every_window_fits(network, smallest)
    assert smallest == 1 or not _every_window_fits(network, smallest - 1)


@pytest.mark.parametrize("name", _FAMILIES)
def test_built_networks_say_what_they_take_and_give(name: str) -> None:
    network = create_model(name, class_num=7, in_channels=2)
    assert (network.model_name, network.class_num, network.in_channels) == (name, 7, 2)
    assert network.training
    _check_sizes(network)
    side = max(network.min_input_size, network.input_size // 3)
    assert _forward(network, side, count=3).shape == (3, 7)


@pytest.mark.parametrize(("name", "arguments"), _VARIANTS)
def test_variants_by_argument(name: str, arguments: Dict[str, Any]) -> None:
    network = create_model(name, **arguments)
    _check_sizes(network)
    assert _forward(network, network.min_input_size).shape == (1, network.class_num)


def test_defaults_are_the_networks_own() -> None:
    lenet, squeeze = create_model("LeNet"), create_model("SqueezeNet1_1")
    assert (lenet.class_num, lenet.in_channels, lenet.input_size) == (10, 1, 32)
    assert (squeeze.class_num, squeeze.in_channels, squeeze.input_size) == (1000, 3, 224)
    assert create_model("ResNet18", stem="cifar").input_size == 32


@pytest.mark.parametrize("name", _FAMILIES)
def test_every_trainable_parameter_gets_a_finite_gradient(name: str) -> None:
    paddle.seed(0)
    network = create_model(name, class_num=4)
    side = max(network.min_input_size, 32)
    images = paddle.randn([2, network.in_channels, side, side])
    paddle.nn.functional.cross_entropy(network(images), paddle.to_tensor([0, 3])).backward()
    for key, parameter in network.named_parameters():
        if not parameter.stop_gradient:
            assert parameter.grad is not None, key
            assert bool(paddle.isfinite(parameter.grad).all().item()), key


@pytest.mark.parametrize("name", _FAMILIES)
def test_an_image_gets_the_same_logits_alone_and_in_a_batch(name: str) -> None:
    network = create_model(name, class_num=5)
    side = max(network.min_input_size, 64)
    together = _forward(network, side, count=4)
    alone = _forward(network, side, count=1)
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", _FAMILIES)
def test_static_export_equals_the_dynamic_network(name: str, tmp_path: Path) -> None:
    network = create_model(name, class_num=5)
    side = max(network.min_input_size, 64)
    expected = _forward(network, side, count=2)
    shape = [None, network.in_channels, side, side]
    spec = [paddle.static.InputSpec(shape, "float32")]
    static = paddle.jit.to_static(network, input_spec=spec, full_graph=True)
    paddle.jit.save(static, str(tmp_path / "net"))
    images = np.random.default_rng(0).standard_normal((2, network.in_channels, side, side))
    got = paddle.jit.load(str(tmp_path / "net"))(paddle.to_tensor(images.astype("float32"))).numpy()
    error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    assert error < 1e-5


def test_same_seed_same_weights() -> None:
    def weights() -> Dict[str, np.ndarray]:
        paddle.seed(5)
        return {key: value.numpy() for key, value in create_model("LeNet").state_dict().items()}

    first, second = weights(), weights()
    assert all((first[key] == second[key]).all() for key in first)


def test_initialisation_follows_the_papers() -> None:
    paddle.seed(1)
    resnet = create_model("ResNet18", class_num=10)
    weight = resnet.stage2[1].conv1.conv.weight.numpy()
    assert weight.std() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.02)
    assert resnet.head.fc.weight.numpy().std() == pytest.approx(0.01, rel=0.1)
    squeeze = create_model("SqueezeNet1_1").stage1.fire2.expand3x3.conv.weight.numpy()
    assert np.abs(squeeze).max() == pytest.approx(math.sqrt(6 / (16 * 9 + 64 * 9)), rel=0.01)


@pytest.mark.slow
def test_alexnet_starts_with_the_papers_biases() -> None:
    network = create_model("AlexNet", class_num=2)
    layers = [network.stage1.conv1.conv, network.stage2.conv2.conv, network.stage3.conv3.conv]
    layers += [network.stage3.conv4.conv, network.stage3.conv5.conv]
    layers += [network.head.fc6, network.head.fc7, network.head.fc8]
    assert [layer.bias.numpy().mean() for layer in layers] == [0, 1, 0, 1, 1, 1, 1, 0]
    assert network.head.fc6.weight.numpy().std() == pytest.approx(0.01, rel=0.01)


def test_features_are_the_last_stages_map() -> None:
    network = create_model("ResNet18", class_num=2)
    network.eval()
    with paddle.no_grad():
        assert network.features(paddle.zeros([1, 3, 64, 64])).shape == [1, 512, 2, 2]


def test_list_models_matches_patterns() -> None:
    assert list_models("*Res*") == ["ResNet101", "ResNet152", "ResNet18", "ResNet34", "ResNet50"]
    assert list_models("nothing*") == []


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("ResNet51", {}, "Did you mean 'ResNet50'?"),
        ("ResNet18", {"dropot": 0.5}, "Did you mean 'dropout'?"),
        ("ResNet18", {"stem": "small"}, "'imagenet' or 'cifar'"),
        ("ResNet18", {"class_num": 0}, "class_num"),
        ("ResNet18", {"dropout": 1.0}, "dropout"),
        ("ResNet18", {"depths": [1, 2]}, "depths"),
        ("VGG16", {"depths": [1, 1, 2, 2, 0]}, "depths"),
        ("LeNet", {"in_channels": "three"}, "in_channels"),
    ],
)
def test_wrong_arguments_are_explained(name: str, arguments: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_model(name, **arguments)
    assert words in str(caught.value)


def test_a_checked_part_builds_the_network_with_its_name() -> None:
    part = registry.parse("arch", {"name": "ResNet18", "class_num": 3, "stem": "cifar"})
    network = build(part)
    assert (network.model_name, network.class_num) == ("ResNet18", 3)


def test_importing_loads_no_paddle_and_its_absence_is_one_line(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    script = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "import ppcls.arch\n"
        "assert 'paddle' not in sys.modules\n"
        "sys.modules['paddle'] = None\n"
        "try: ppcls.arch.create_model('LeNet')\n"
        "except ImportError as error: print(error)"
    )
    done = run_python("-c", script)
    assert done.stdout.strip() == PADDLE_MISSING, done.stderr
