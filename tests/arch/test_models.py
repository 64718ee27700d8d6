"""What holds for every registered network, and what `create_model` tells its callers."""

from __future__ import annotations

import math
import subprocess
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import paddle
import pytest

from ppcls import registry
from ppcls.arch import build, create_model, list_models
from ppcls.arch.network import Network
from ppcls.errors import PADDLE_MISSING, ConfigError

_VARIANTS: List[Tuple[str, Dict[str, Any]]] = [
    ("ResNet18", {"stem": "cifar", "class_num": 10}),
    ("ResNet34", {"first_projection": False, "dropout": 0.2}),
    ("SqueezeNet1_1", {"ceil_mode": True}),
    ("SqueezeNet1_0", {"ceil_mode": True, "dropout_mode": "upscale_in_train"}),
    ("LeNet", {"act": "tanh", "pool": "avg"}),
]


def _forward(network: Network, side: int, count: int = 1) -> np.ndarray:
    images = np.random.default_rng(0).standard_normal((count, network.in_channels, side, side))
    network.eval()
    with paddle.no_grad():
        return network(paddle.to_tensor(images.astype("float32"))).numpy()


@pytest.mark.parametrize("name", ["LeNet", "SqueezeNet1_0", "ResNet18"])
def test_built_networks_say_what_they_take_and_give(name: str) -> None:
    network = create_model(name, class_num=7, in_channels=2)
    assert (network.model_name, network.class_num, network.in_channels) == (name, 7, 2)
    assert network.training
    assert _forward(network, 64, count=3).shape == (3, 7)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), _VARIANTS)
def test_variants_by_argument(name: str, arguments: Dict[str, Any]) -> None:
    network = create_model(name, **arguments)
    assert _forward(network, network.min_input_size).shape == (1, network.class_num)


@pytest.mark.slow
def test_defaults_are_the_networks_own() -> None:
    lenet, squeeze = create_model("LeNet"), create_model("SqueezeNet1_1")
    assert (lenet.class_num, lenet.in_channels, lenet.input_size) == (10, 1, 32)
    assert (squeeze.class_num, squeeze.in_channels, squeeze.input_size) == (1000, 3, 224)
    assert create_model("ResNet18", stem="cifar").input_size == 32


def test_same_seed_same_weights() -> None:
    def weights() -> Dict[str, np.ndarray]:
        paddle.seed(5)
        return {key: value.numpy() for key, value in create_model("LeNet").state_dict().items()}

    first, second = weights(), weights()
    assert all((first[key] == second[key]).all() for key in first)


@pytest.mark.slow
def test_initialisation_follows_the_papers() -> None:
    paddle.seed(1)
    resnet = create_model("ResNet18_tv", class_num=10)
    weight = resnet.stage2[1].conv1.conv.weight.numpy()
    assert weight.std() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.02)
    assert resnet.head.fc.weight.numpy().std() == pytest.approx(0.01, rel=0.1)
    squeeze = create_model("SqueezeNet1_1_tv").stage1.fire2.expand3x3.conv.weight.numpy()
    assert np.abs(squeeze).max() == pytest.approx(math.sqrt(6 / (16 * 9 + 64 * 9)), rel=0.01)


@pytest.mark.slow
def test_alexnet_starts_with_the_papers_biases() -> None:
    network = create_model("AlexNet_2012", class_num=2)
    layers = [network.stage1.conv1.conv, network.stage2.conv2.conv, network.stage3.conv3.conv]
    layers += [network.stage3.conv4.conv, network.stage3.conv5.conv]
    layers += [network.head.fc6, network.head.fc7, network.head.fc8]
    assert [layer.bias.numpy().mean() for layer in layers] == [0, 1, 0, 1, 1, 1, 1, 0]
    assert network.head.fc6.weight.numpy().std() == pytest.approx(0.01, rel=0.01)


def test_list_models_matches_patterns() -> None:
    assert list_models("ResNet1*2") == ["ResNet152"]
    assert list_models("LeN*") == ["LeNet"]
    assert list_models("nothing*") == []


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("ResNet51", {}, "Did you mean 'ResNet50'?"),
        ("ResNet18", {"dropot": 0.5}, "Did you mean 'dropout'?"),
        ("ResNet18", {"stem": "small"}, "'cifar', got 'small'"),
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
