"""Costs against published numbers, hand calculation, the operators of the static graph, and other
implementations of the networks.
"""

from __future__ import annotations

import json
import math
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model, list_models, summary
from ppcls.arch.family_data import families, networks
from ppcls.arch.summary import (
    Row,
    count_parameters,
    count_weights,
    layer_table,
    network_costs,
    summarise,
)
from ppcls.commands.model_tables import costs
from ppcls.errors import ConfigError
from ppcls.runtime import without_call_paths
from ppcls.weights.names.toolkits import find_reference

_RARELY_COUNT = {"padding", "eps", "momentum", "dropout"}
"""Arguments with which most networks have the same multiply-accumulates as without."""
_QUICK = ["AlexNet", "LeNet", "MobileNetV1_x0_25", "ResNet18", "SqueezeNet1_1", "VGG16"]

Fixed = Tuple[str, str]
"""One of our networks, and the arguments that it is made with, as JSON."""


def _counted_elsewhere() -> Dict[Fixed, Dict[int, int]]:
    """What other toolkits count: {side of the image: multiply-accumulates} of our networks."""
    found = {(name, "{}"): row.macs for name, row in networks().items() if row.macs}
    relatives = {
        _own(toolkit, theirs): macs
        for family in families().values()
        for toolkit, rows in family.relatives.items()
        for theirs, macs in rows.items()
    }
    counted = {**found, **relatives}
    return {fixed: macs for fixed, macs in counted.items() if not _is_repeated(fixed, counted)}


def _own(toolkit: str, theirs: str) -> Fixed:
    own, arguments = find_reference(toolkit, theirs)[0]
    return own, json.dumps(arguments)


def _is_repeated(fixed: Fixed, counted: Dict[Fixed, Dict[int, int]]) -> bool:
    """Whether the network without the arguments is counted, and they change nothing elsewhere."""
    own, arguments = fixed
    if arguments == "{}" or json.loads(arguments).keys() - _RARELY_COUNT:
        return False
    return counted.get((own, "{}")) == counted[fixed]


def _marked(name: str, *arguments: str) -> Any:
    """Count all networks on one worker, where each is counted once for all tests."""
    marks = [pytest.mark.xdist_group("costs")]
    if name not in _QUICK:
        marks.append(pytest.mark.slow)
    if arguments not in ((), ("{}",)):
        marks.append(pytest.mark.exhaustive)
    return pytest.param(name, *arguments, marks=marks)


_COUNTED = _counted_elsewhere()
_ONLY_HERE = sorted({*list_models()} - {own for own, fixed in _COUNTED if fixed == "{}"})


def test_macs_of_lenet_by_hand() -> None:
    rows = [row for row in summarise(create_model("LeNet")) if row.macs]
    assert [row.macs for row in rows] == [
        28 * 28 * 6 * 25,
        10 * 10 * 16 * 6 * 25,
        120 * 16 * 25,
        120 * 84,
        84 * 10,
    ]
    assert rows[0] == Row("c1.conv", "Conv2D", (6, 28, 28), 156, 117_600)


def _macs(network: nn.Layer, input_shape: Optional[Sequence[int]] = None) -> int:
    return sum(row.macs for row in summarise(network, input_shape))


@pytest.mark.slow
def test_macs_of_alexnet_by_hand() -> None:
    convolutions = (
        55 * 55 * 64 * 3 * 121
        + 27 * 27 * 192 * 64 * 25
        + 13 * 13 * 9 * (384 * 192 + 256 * 384 + 256 * 256)
    )
    linears = 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    assert _macs(create_model("AlexNet")) == convolutions + linears == 714_188_480


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "giga"), [("ResNet50", 4.09), ("SqueezeNet1_1", 0.35), ("ResNet18", 1.82)]
)
def test_macs_are_the_published_ones(name: str, giga: float) -> None:
    assert _macs(create_model(name)) / 1e9 == pytest.approx(giga, rel=0.012)


@pytest.mark.slow
def test_macs_of_vgg16_are_the_published_ones() -> None:
    assert _macs(create_model("VGG16")) / 1e9 == pytest.approx(15.47, rel=0.001)


@pytest.mark.slow
def test_macs_against_paddles_own_counter() -> None:
    """ResNets have no convolution bias, which Paddle would add; the rest is switched off."""
    network = create_model("ResNet18", class_num=10)
    others = (nn.BatchNorm2D, nn.ReLU, nn.MaxPool2D, nn.AdaptiveAvgPool2D)
    nothing = dict.fromkeys(others, lambda layer, x, y: None)
    try:
        expected = paddle.flops(network, [1, 3, 64, 64], custom_ops=nothing)
    except TypeError as error:
        pytest.skip(f"Paddle's counter does not work with this NumPy: {error}")
    assert _macs(network, [3, 64, 64]) == expected


def test_grouped_convolutions_and_repeated_layers() -> None:
    layer = nn.Conv2D(8, 8, 3, padding=1, groups=4, bias_attr=False)
    rows = summarise(nn.Sequential(layer, nn.ReLU(), layer), [8, 5, 5])
    assert [row.macs for row in rows if row.macs] == [25 * 8 * 2 * 9] * 2
    assert sum(row.parameters for row in rows) == 8 * 2 * 9


@pytest.mark.slow
def test_the_network_is_left_as_it_was() -> None:
    network = create_model("ResNet18", class_num=3, stem="cifar")
    network.stage1.eval()
    before = {name: value.numpy() for name, value in network.state_dict().items()}
    rows = summarise(network)
    assert network.training
    assert not network.stage1[0].conv1.bn.training and network.stage2[0].conv1.bn.training
    assert all(
        (value.numpy() == before[name]).all() for name, value in network.state_dict().items()
    )
    assert rows[0].output == (64, 32, 32)
    assert sum(row.parameters for row in rows) == count_parameters(network)
    summarise(network)
    assert len(summarise(network)) == len(rows)


def test_table_shows_every_layer_and_the_totals() -> None:
    lines = layer_table(summarise(create_model("LeNet"))).splitlines()
    assert lines[0].split() == ["layer", "type", "output", "parameters", "MACs"]
    assert lines[1].split() == ["c1.conv", "Conv2D", "6x28x28", "156", "117,600"]
    assert lines[-1].split() == ["total", "61,706", "416,520"]


def test_costs_of_a_name_are_those_of_the_built_network() -> None:
    network = create_model("ResNet18", class_num=7, stem="cifar")
    cost = network_costs("ResNet18", [3, 40, 24], class_num=7, stem="cifar")
    assert cost.parameters == count_parameters(network)
    assert cost.weights == count_weights(network)
    assert cost.macs == _macs(network, [3, 40, 24])
    assert cost.input_shape == (3, 40, 24)


def test_an_older_paddle_counts_the_same_in_a_static_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LeNet", "MobileNetV3_small_x0_35"):
        found = network_costs(name)
        with monkeypatch.context() as older:
            older.setattr(summary, "_runs_without_images", lambda: False)
            assert network_costs(name) == found


def test_weights_and_flops_are_counted_as_in_paddleclas_tables() -> None:
    cost = network_costs("LeNet")
    assert cost.weights == 25 * (6 + 6 * 16 + 16 * 120) + 120 * 84 + 84 * 10
    convolutions = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 6 * 25 + 120 * 16 * 25
    assert cost.flops == 2 * convolutions + 120 * 84 + 84 * 10


def test_counting_leaves_paddle_as_it_was() -> None:
    paddle.seed(3)
    before = paddle.get_rng_state()[0].current_seed()
    with pytest.raises(ConfigError):
        network_costs("ResNet18", classes=3)
    assert network_costs("LeNet").parameters == 61_706
    assert paddle.in_dynamic_mode()
    assert paddle.get_rng_state()[0].current_seed() == before
    assert (nn.Linear(2, 2)(paddle.ones([1, 2])).numpy().shape) == (1, 2)


_ERROR = """
import ppcls.arch.backbone.lenet as lenet
from ppcls.arch.summary import network_costs

def broken(self, x):
    y = x * 2
    raise ValueError("broken")

lenet.LeNet.features = broken
try:
    network_costs("LeNet")
except ValueError as error:
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    print("seen:", trace.tb_frame.f_locals["y"])
"""


@pytest.mark.slow
def test_values_in_the_traceback_of_an_error_can_be_printed(run_python: Callable[..., Any]) -> None:
    """As pytest does when a layer raises; values of a graph that is gone end the process."""
    done = run_python("-c", _ERROR)
    assert done.returncode == 0 and "seen:" in done.stdout, done.stderr


# --- a second count: the operators of the static graph -------------------------------------------


_CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
_PRODUCTS = ("matmul", "matmul_v2")
_UNKNOWN = ("mul", "bmm", "mv", "addmm", "einsum", "conv2d_transpose", "conv3d", "fc", "linear")


class _Operator(NamedTuple):
    """An operator that multiplies: what it is, its two inputs' shapes, its attributes."""

    kind: str
    shapes: List[List[int]]
    attributes: Dict[str, Any]


def _operators(program: Any) -> Iterator[_Operator]:
    """Read a program of Paddle 3, or the older kind of Paddle 2.6."""
    block = program.global_block()
    for op in block.ops:
        is_old = hasattr(op, "input_names")
        kind = op.type if is_old else op.name().rpartition(".")[2]
        assert kind not in _UNKNOWN
        if kind in (*_CONVOLUTIONS, *_PRODUCTS):
            inputs = _old_inputs(op, block) if is_old else map(op.operand_source, range(2))
            shapes = [list(value.shape) for value in inputs]
            yield _Operator(kind, shapes, op.all_attrs() if is_old else op.attrs())


def _old_inputs(op: Any, block: Any) -> List[Any]:
    keys = ("Input", "Filter") if op.type in _CONVOLUTIONS else ("X", "Y")
    return [block.var(op.input(key)[0]) for key in keys]


def _macs_of(op: _Operator) -> int:
    """One multiply-accumulate for each weight at each position of the window."""
    left, right = op.shapes
    if op.kind in _PRODUCTS:
        assert left[-1] == right[0]
        return math.prod(left) * right[1]
    return math.prod(right) * math.prod(_positions(left[2:], right[2:], op.attributes))


def _positions(
    image: Sequence[int], window: Sequence[int], attributes: Dict[str, Any]
) -> List[int]:
    """In how many places the window of a convolution lies, vertically and horizontally."""
    strides, dilations = attributes["strides"], attributes["dilations"]
    if attributes["padding_algorithm"] == "SAME":
        return [-(-side // stride) for side, stride in zip(image, strides)]
    assert attributes["padding_algorithm"] == "EXPLICIT"
    pads = attributes["paddings"]
    pads = [2 * pad for pad in pads] if len(pads) == 2 else [sum(pads[:2]), sum(pads[2:])]
    reach = [dilation * (side - 1) + 1 for side, dilation in zip(window, dilations)]
    return [
        len(range(0, side + pad - span + 1, stride))
        for side, pad, span, stride in zip(image, pads, reach, strides)
    ]


def _macs_of_operators(name: str, side: int) -> int:
    """Count the multiply-accumulates of a network at an input size from its static graph."""
    program = paddle.static.Program()
    paddle.enable_static()
    try:
        guard = paddle.static.program_guard(program, paddle.static.Program())
        with guard, without_call_paths():
            network = create_model(name)
            network.eval()
            network(paddle.static.data("images", [1, network.in_channels, side, side]))
        return sum(map(_macs_of, _operators(program)))
    finally:
        paddle.disable_static()


@pytest.mark.slow
@pytest.mark.parametrize("name", [_marked(name) for name in sorted({*_QUICK, *_ONLY_HERE})])
def test_macs_are_those_of_the_operators(name: str) -> None:
    found = costs(name)
    assert _macs_of_operators(name, found.input_shape[1]) == found.macs > 400_000


@pytest.mark.parametrize(("name", "arguments"), [_marked(*fixed) for fixed in _COUNTED])
def test_macs_are_those_of_other_implementations(name: str, arguments: str) -> None:
    ((side, macs),) = _COUNTED[name, arguments].items()
    if arguments == "{}" and costs(name).input_shape[1] == side:
        assert costs(name).macs == macs
    else:
        assert network_costs(name, [3, side, side], **json.loads(arguments)).macs == macs


@pytest.mark.slow
@pytest.mark.xdist_group("costs")
def test_every_published_parameter_count_is_exact() -> None:
    published = {name: row.parameters for name, row in networks().items()}
    assert {name: costs(name).parameters for name in published} == published
