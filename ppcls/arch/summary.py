"""What a network costs: parameters, multiply-accumulates and output shapes, layer by layer.

`summarise` runs a network that is there. `network_costs` needs only a name: it runs the network
without weights on a batch of no images, or, where the installed Paddle cannot do that, builds a
static graph, in which shapes are known but no values; so the largest takes a second and no memory.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import paddle
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.network import evaluation_mode
from ppcls.runtime import without_call_paths
from ppcls.text import table


@dataclass(frozen=True)
class Row:
    """One call of one layer without sub-layers.

    Attributes:
        name: its path in the network, such as "stage1.0.conv1.conv".
        kind: its class, such as "Conv2D".
        output: the shape of its output without the batch.
        parameters: its trainable parameters; 0 when an earlier row of the same layer has them.
        macs: its multiply-accumulates for one image: those of convolutions and fully connected
            layers, biases and everything else left out.
    """

    name: str
    kind: str
    output: Tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Costs:
    """What a network costs, for one image in evaluation.

    Attributes:
        input_shape: of the image: channels, height, width.
        parameters: the trainable parameters, auxiliary heads included.
        weights: those of them that multiply, in convolutions and fully connected layers: no biases
            and no batch normalisation.
        macs: multiply-accumulates of convolutions and fully connected layers.
        flops: the same as PaddleClas' tables of models count them: two for each
            multiply-accumulate of a convolution, one for each of a fully connected layer.
    """

    input_shape: Tuple[int, ...]
    parameters: int
    weights: int
    macs: int
    flops: int


def network_costs(
    name: str, input_shape: Optional[Sequence[int]] = None, **arguments: Any
) -> Costs:
    """Return what the network `name` costs; no weights are made and nothing is calculated.

    Args:
        name: one of `ppcls.arch.list_models()`.
        input_shape: [channels, height, width]; None takes the network's own input size.
        **arguments: as for `ppcls.arch.create_model`.

    Raises:
        ConfigError: no network has this name, or an argument is wrong.
    """
    if _runs_without_images():
        return _costs_without_images(name, input_shape, arguments)
    # An error's traceback keeps this name; printing its values without their graph would crash.
    programs = paddle.static.Program(), paddle.static.Program()
    with _static_graph(programs):
        network = create_model(name, **arguments)
        shape = _input_shape(network, input_shape)
        return _costs(network, shape, summarise(network, shape))


def _runs_without_images() -> bool:
    """Whether the installed Paddle computes with empty batches, on the device that is used."""
    version = tuple(int(part) for part in paddle.__version__.split(".")[:2])
    return version >= (3, 3) and paddle.get_device() == "cpu"


def _costs_without_images(
    name: str, input_shape: Optional[Sequence[int]], arguments: Dict[str, Any]
) -> Costs:
    with paddle.LazyGuard():
        network = create_model(name, **arguments)
    for parameter in network.parameters():
        if len(parameter.shape) < 2:  # adding a bias asks where it lies; products do not
            parameter.initialize()
    shape = _input_shape(network, input_shape)
    return _costs(network, shape, _rows(network, [0, *shape]))


def _costs(network: nn.Layer, shape: Sequence[int], rows: Sequence[Row]) -> Costs:
    macs = sum(row.macs for row in rows)
    linear = sum(row.macs for row in rows if row.kind == "Linear")
    return Costs(
        input_shape=tuple(shape),
        parameters=count_parameters(network),
        weights=count_weights(network),
        macs=macs,
        flops=2 * macs - linear,
    )


def count_parameters(network: nn.Layer) -> int:
    """Return the number of trainable parameters, so without the running statistics."""
    return sum(math.prod(p.shape) for p in network.parameters() if p.trainable)


def count_weights(network: nn.Layer) -> int:
    """Return the number of weights of convolutions and fully connected layers, without biases."""
    layers = (layer for layer in network.sublayers() if isinstance(layer, (nn.Conv2D, nn.Linear)))
    return sum(math.prod(layer.weight.shape) for layer in layers)


def summarise(network: nn.Layer, input_shape: Optional[Sequence[int]] = None) -> List[Row]:
    """Run one image of zeros through `network` in evaluation mode, and return a row for each layer.

    Args:
        network: any layer; it is left as it was.
        input_shape: [channels, height, width]; None takes the network's own input size.
    """
    return _rows(network, [1, *_input_shape(network, input_shape)])


def _rows(network: nn.Layer, batch: Sequence[int]) -> List[Row]:
    rows: List[Row] = []
    with _watched(network, rows), evaluation_mode(network), paddle.no_grad():
        network(paddle.zeros(batch))
    return rows


def _input_shape(network: nn.Layer, given: Optional[Sequence[int]]) -> Sequence[int]:
    if given is not None:
        return given
    return [network.in_channels, network.input_size, network.input_size]


def layer_table(rows: Sequence[Row]) -> str:
    """Lay out rows as text, with the totals in the last line."""
    lines: List[Tuple[str, ...]] = [("layer", "type", "output", "parameters", "MACs")]
    for row in rows:
        output = "x".join(map(str, row.output))
        lines.append((row.name, row.kind, output, f"{row.parameters:,}", f"{row.macs:,}"))
    totals = sum(row.parameters for row in rows), sum(row.macs for row in rows)
    lines.append(("total", "", "", *(f"{number:,}" for number in totals)))
    return table(lines, left=[0, 1, 2])


@contextlib.contextmanager
def _static_graph(programs: Sequence[Any]) -> Iterator[None]:
    """Build what is built inside as a static graph: its own program, and that of its weights."""
    was_dynamic = paddle.in_dynamic_mode()
    paddle.enable_static()
    try:
        guards = paddle.static.program_guard(*programs), paddle.utils.unique_name.guard()
        with guards[0], guards[1], without_call_paths():
            yield
    finally:
        if was_dynamic:
            paddle.disable_static()


@contextlib.contextmanager
def _watched(network: nn.Layer, rows: List[Row]) -> Iterator[None]:
    """Add a row for every call of a layer without sub-layers."""
    hooks, seen = [], set()

    def watch(name: str, layer: nn.Layer) -> None:
        def note(_: nn.Layer, inputs: Any, output: Any) -> None:
            shape = tuple((output[0] if isinstance(output, (list, tuple)) else output).shape)[1:]
            parameters = 0 if name in seen else count_parameters(layer)
            seen.add(name)
            rows.append(Row(name, type(layer).__name__, shape, parameters, _macs(layer, shape)))

        hooks.append(layer.register_forward_post_hook(note))

    for name, layer in network.named_sublayers():
        if not layer.sublayers() and not isinstance(layer, nn.Identity):
            watch(name, layer)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _macs(layer: nn.Layer, output: Tuple[int, ...]) -> int:
    """One product for each weight that an output value depends on."""
    if isinstance(layer, nn.Conv2D):
        return math.prod(output) * math.prod(layer.weight.shape[1:])
    if isinstance(layer, nn.Linear):
        return math.prod(output) * layer.weight.shape[0]
    return 0
