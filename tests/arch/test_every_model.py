"""What holds for every registered network: one walk over the registry, one network after another.

The networks are cut down to few classes and hidden units, and run on small images. Heavy ones are
marked slow. What depends on a network's code and not on its sizes is tested of the smallest network
of each structure, and of all others where `exhaustive` tests run.
"""

from __future__ import annotations

import ctypes
import gc
import inspect
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

import numpy as np
import paddle
import pytest

from ppcls import registry
from ppcls.arch import create_model, list_models
from ppcls.arch.family_data import networks
from ppcls.arch.features import FeatureExtractor
from ppcls.arch.network import Network
from ppcls.exporters.onnx import convert_program
from ppcls.exporters.openvino import write_openvino
from ppcls.exporters.static import write_program
from ppcls.inference.programs import check_file
from scripts.export_zoo import fill, smallest_side

_CLASSES = 5
_PARAMETERS: Dict[str, int] = {
    # tests/arch/test_family_data.py names those without a row
    name: networks()[name].parameters if name in networks() else 0
    for name in list_models()
}


def _structure(name: str) -> Tuple[Any, ...]:
    """What distinguishes the code that a network runs: its class and switches, but no sizes."""
    entry = registry.lookup("arch", name)
    signature = inspect.signature(entry.constructor).parameters
    arguments = {**{key: item.default for key, item in signature.items()}, **entry.preset}
    switches = (
        (key, value if isinstance(value, (bool, str)) else value is None)
        for key, value in sorted(arguments.items())
        if key != "size"
    )
    return (entry.constructor.__name__, *switches)


def _smallest(distinguish: Callable[[str], Any]) -> Set[str]:
    """The smallest of the networks that `distinguish` does not tell apart, for each such group."""
    largest_first = sorted(list_models(), key=lambda name: -_PARAMETERS[name])
    return set({distinguish(name): name for name in largest_first}.values())


_NAMES = list_models()
_TYPICAL = _smallest(_structure)
_ONE_OF_EACH_CLASS = _smallest(lambda name: registry.lookup("arch", name).constructor)


def _marked(name: str, *marks: pytest.MarkDecorator) -> Any:
    """Keep the tests of one network on one worker, and mark it by its size."""
    is_quick = _PARAMETERS[name] < 6e6 and name in _TYPICAL
    slow = [] if is_quick else [pytest.mark.slow]
    return pytest.param(name, marks=[pytest.mark.xdist_group(f"model {name}"), *slow, *marks])


def _marked_as_one_of_many(name: str) -> Any:
    """The same for what networks of one structure prove again, and takes long for each."""
    exhaustive = [] if name in _TYPICAL else [pytest.mark.exhaustive]
    slow = [] if name in _ONE_OF_EACH_CLASS else [pytest.mark.slow]
    return _marked(name, *exhaustive, *slow)


_every_network = pytest.mark.parametrize(
    "network", [_marked(name) for name in _NAMES], indirect=True, scope="module"
)
_every_structure = pytest.mark.parametrize(
    "network", [_marked_as_one_of_many(name) for name in _NAMES], indirect=True, scope="module"
)


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Let the collector pass over what was there before, of which there is much."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    """A registered network with five classes, and few hidden units where most have 4,096."""
    constructor = registry.lookup("arch", request.param).constructor
    has_wide_head = constructor.__name__ in ("AlexNet", "VGG")
    with paddle.LazyGuard():
        arguments = {"head_width": 64} if has_wide_head else {}
        network = create_model(request.param, class_num=_CLASSES, **arguments)
    fill(network)
    yield network
    del network
    if _PARAMETERS[request.param] > 2e7:
        _give_memory_back()


def _give_memory_back() -> None:
    """Return what large networks left behind in pieces, 15 GB in all, where the C library can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def test_structures_are_found() -> None:
    """Networks of one structure differ in sizes alone; every family has its own."""
    assert _structure("ResNet18") != _structure("ResNet50")
    assert _structure("VGG11") == _structure("VGG19") != _structure("VGG11_bn")
    assert _structure("MobileNetV1") == _structure("MobileNetV1_x0_25")
    families = {registry.lookup("arch", name).constructor for name in _NAMES}
    assert len(families) < len(_TYPICAL) < len(_NAMES)


def _side(network: Network) -> int:
    return max(network.min_input_size, 32 if network.input_size == 32 else 64)


def _images(network: Network, count: int, side: int) -> paddle.Tensor:
    drawn = np.random.default_rng(0).standard_normal((count, network.in_channels, side, side))
    return paddle.to_tensor(drawn.astype("float32"))


def _run(network: paddle.nn.Layer, images: paddle.Tensor) -> np.ndarray:
    network.eval()
    with paddle.no_grad():
        return network(images).numpy()


def _difference(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


@pytest.mark.slow
@_every_network
def test_an_image_gets_the_same_logits_alone_and_in_a_batch(network: Network) -> None:
    images = _images(network, 2, _side(network))
    together, alone = _run(network, images), _run(network, images[:1])
    assert together.shape == (2, _CLASSES)
    assert np.isfinite(together).all()
    assert _difference(alone, together[:1]) < 1e-4


@_every_structure
def test_every_trainable_parameter_gets_a_finite_gradient(network: Network) -> None:
    network.train()
    outputs = network(_images(network, 2, _side(network)))
    labels = paddle.to_tensor([0, _CLASSES - 1])
    for logits in outputs if isinstance(outputs, list) else [outputs]:
        paddle.nn.functional.cross_entropy(logits, labels).backward(retain_graph=True)
    found = {name: p.grad for name, p in network.named_parameters() if not p.stop_gradient}
    wrong = [
        name
        for name, gradient in found.items()
        if gradient is None or not bool(paddle.isfinite(gradient).all().item())
    ]
    network.clear_gradients()
    assert found and wrong == []


@_every_structure
def test_features_have_the_declared_channels_and_strides(network: Network) -> None:
    extractor = FeatureExtractor(network)
    extractor.eval()
    strides, channels = extractor.strides, extractor.channels
    assert len(strides) >= 3 and strides == sorted(strides)
    step, side = max(strides), _side(network)
    with paddle.no_grad():
        small = extractor(_images(network, 1, side))
        large = extractor(_images(network, 1, side + step))
    assert [found.shape[1] for found in small] == channels
    # Growth, not size: what padding and borders add is the same in both.
    assert [b.shape[2] - a.shape[2] for a, b in zip(small, large)] == [step // s for s in strides]


@_every_structure
def test_the_smallest_input_is_the_declared_one(network: Network) -> None:
    smallest = network.min_input_size
    assert 1 <= smallest <= network.input_size
    assert _every_window_fits(network, smallest)
    assert smallest == 1 or not _every_window_fits(network, smallest - 1)


def _every_window_fits(network: Network, side: int) -> bool:
    found: List[bool] = []
    kinds = (paddle.nn.Conv2D, paddle.nn.MaxPool2D, paddle.nn.AvgPool2D)
    hooks = [
        layer.register_forward_pre_hook(lambda its, x: found.append(_fits(its, x[0].shape[2:])))
        for layer in network.sublayers()
        if isinstance(layer, kinds)
    ]
    try:
        _run(network, _images(network, 1, side))
    except (ValueError, RuntimeError):  # Paddle refuses some windows that do not fit itself
        found.append(False)
    finally:
        for hook in hooks:
            hook.remove()
    return all(found)


def _fits(layer: paddle.nn.Layer, sides: List[int]) -> bool:
    """Whether a window of `layer` fits into an input of these sides."""
    if isinstance(layer, paddle.nn.Conv2D):
        if layer._padding == "SAME":
            return True
        reach = [d * (k - 1) + 1 for k, d in zip(layer._kernel_size, _pair(layer._dilation))]
        added = _added(layer._padding)
    else:
        overhang = _pair(layer.stride)[0] - 1 if layer.ceil_mode else 0
        reach = [side - overhang for side in _pair(layer.ksize)]
        added = _added(layer.padding)
    return all(side + pad >= window for side, pad, window in zip(sides, added, reach))


def _added(padding: Any) -> Tuple[int, ...]:
    """Pixels of padding, vertically and horizontally: one number, two, or top to right."""
    both = _pair(padding)
    return (both[0] + both[1], both[2] + both[3]) if len(both) == 4 else (2 * both[0], 2 * both[1])


def _pair(value: Any) -> Tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


@pytest.fixture(scope="module")
def program(network: Network) -> Iterator[Path]:
    """Where the network's static program is: PREFIX.json or PREFIX.pdmodel, PREFIX.pdiparams.

    The folder is removed afterwards: the programs of all networks are 20 GB.
    """
    if paddle.__version__.startswith("2.") and _PARAMETERS[network.model_name] > 3e7:
        pytest.skip("Paddle 2.6 keeps in memory the weights of each program that it writes")
    with tempfile.TemporaryDirectory() as folder:
        side = smallest_side(network)
        shape = (network.in_channels, side, side)
        write_program(network, Path(folder) / "net", shape, probabilities=False)
        yield Path(folder) / "net"


@pytest.mark.slow
@_every_structure
def test_a_bundle_accepts_what_the_program_holds(network: Network, program: Path) -> None:
    for path in program.parent.iterdir():
        check_file(path)


@pytest.mark.slow
@_every_structure
def test_static_export_equals_the_dynamic_network(network: Network, program: Path) -> None:
    images = _images(network, 2, smallest_side(network))
    got = paddle.jit.load(str(program))(images).numpy()
    assert _difference(got, _run(network, images)) < 1e-5


@pytest.fixture(scope="module")
def onnx_file(program: Path) -> Path:
    """The program as an ONNX file, beside it."""
    pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")
    convert_program(program, program.with_suffix(".onnx"))
    return program.with_suffix(".onnx")


@pytest.mark.slow
@_every_structure
def test_onnx_export_equals_the_dynamic_network(network: Network, onnx_file: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    images = _images(network, 2, smallest_side(network))
    check_file(onnx_file)
    session = runtime.InferenceSession(str(onnx_file))
    (got,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    assert _difference(got, _run(network, images)) < 1e-4


@pytest.mark.slow
@_every_structure
def test_openvino_export_equals_the_dynamic_network(network: Network, onnx_file: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")
    images = _images(network, 2, smallest_side(network))
    shape = (network.in_channels, *images.shape[2:])
    files = write_openvino(network, onnx_file.with_suffix(""), shape, probabilities=False)
    for path in files:
        check_file(path)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    got = openvino.Core().compile_model(str(files[0]), "CPU", exact)(images.numpy())[0]
    assert _difference(got, _run(network, images)) < 1e-4


@_every_structure
def test_another_precision_is_kept_from_the_images_to_the_logits(network: Network) -> None:
    """No layer may fall back to float32 or mix types: mixed precision could not go through it."""
    network.train()
    network.to(dtype="float64")
    try:
        with paddle.no_grad():
            outputs = network(_images(network, 2, _side(network)).astype("float64"))
    finally:
        network.to(dtype="float32")
    logits = outputs if isinstance(outputs, list) else [outputs]
    assert {value.dtype for value in logits} == {paddle.float64}


@pytest.mark.parametrize(
    "name",
    [
        _marked_as_one_of_many(name)
        if name in _ONE_OF_EACH_CLASS
        else _marked(name, pytest.mark.slow, pytest.mark.exhaustive)
        for name in _NAMES
    ],
)
def test_an_untrained_network_does_not_explode(name: str) -> None:
    paddle.seed(0)
    network = create_model(name, class_num=_CLASSES)
    with paddle.no_grad():
        outputs = network(_images(network, 4, _side(network)))
    logits = (outputs[0] if isinstance(outputs, list) else outputs).numpy()
    assert np.abs(logits).max() < 100


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(
    not paddle.device.is_compiled_with_cuda() or not paddle.device.cuda.device_count(),
    reason="Paddle ignores mixed precision on CPUs",
)
def test_mixed_precision_gives_every_network_finite_gradients() -> None:
    assert [name for name in list_models() if not _trains_in_mixed_precision(name)] == []


def _trains_in_mixed_precision(name: str) -> bool:
    network = create_model(name, class_num=_CLASSES)
    with paddle.amp.auto_cast(level="O1", dtype="float16"):
        outputs = network(_images(network, 2, _side(network)))
    logits = outputs if isinstance(outputs, list) else [outputs]
    labels = paddle.to_tensor([0, 1])
    sum(paddle.nn.functional.cross_entropy(x.astype("float32"), labels) for x in logits).backward()
    gradients = [p.grad for p in network.parameters() if not p.stop_gradient]
    return all(g is not None and bool(paddle.isfinite(g).all().item()) for g in gradients)
