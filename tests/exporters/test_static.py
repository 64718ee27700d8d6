from __future__ import annotations

import threading
import traceback
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from paddle.nn.layer import layers

from ppcls.arch.backbone.acnet import AsymmetricConvBNAct
from ppcls.arch.layers import ConvBNAct, average_head
from ppcls.errors import ExportError
from ppcls.exporters.static import Exported, device_of, evaluation_mode, run_dynamic, write_program
from ppcls.runtime import without_call_paths


def test_program_takes_any_batch_and_holds_no_pickle(
    tmp_path: Path, network: paddle.nn.Layer
) -> None:
    write_program(network, tmp_path / "p", (3, 32, 32))
    suffixes = {path.suffix for path in tmp_path.iterdir()}
    assert suffixes in ({".json", ".pdiparams"}, {".pdmodel", ".pdiparams"})
    loaded = paddle.jit.load(str(tmp_path / "p"))
    loaded.eval()
    for count in (1, 3):
        images = np.random.default_rng(0).standard_normal((count, 3, 32, 32), dtype=np.float32)
        probabilities = loaded(paddle.to_tensor(images)).numpy()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        logits = run_dynamic(network, images)
        np.testing.assert_array_equal(probabilities.argmax(axis=1), logits.argmax(axis=1))


def test_nothing_of_the_python_calls_is_in_a_program_and_paddle_is_as_before(
    tmp_path: Path, network: paddle.nn.Layer
) -> None:
    replaced = (traceback, "extract_stack"), (layers, "name_struct")
    before = [getattr(module, name, None) for module, name in replaced]
    entered = threading.Event()

    def another() -> None:
        with without_call_paths():
            entered.set()

    with without_call_paths():
        thread = threading.Thread(target=another)
        thread.start()
        assert not entered.wait(0.1)
    thread.join()
    (program, _) = write_program(network, tmp_path / "p", (3, 32, 32))
    assert [getattr(module, name, None) for module, name in replaced] == before
    content = program.read_bytes()
    assert b"struct_name" not in content and Path(__file__).name.encode() not in content


def test_program_without_softmax_gives_the_logits(tmp_path: Path, network: paddle.nn.Layer) -> None:
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    for name, softmax in (("first", True), ("second", False)):
        write_program(network, tmp_path / name, (3, 32, 32), softmax)
    loaded = paddle.jit.load(str(tmp_path / "second"))
    loaded.eval()
    logits = loaded(paddle.to_tensor(images)).numpy()
    np.testing.assert_allclose(logits, run_dynamic(network, images), rtol=1e-4, atol=1e-5)


def _program(folder: Path) -> Path:
    """The program of a folder, whichever format this Paddle writes."""
    return next(path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".pdmodel"))


def test_program_holds_the_folded_network(tmp_path: Path) -> None:
    network = paddle.nn.Sequential(
        AsymmetricConvBNAct(3, 8, 3), ConvBNAct(8, 8, 1), average_head(8, 5)
    )
    network.train()
    write_program(network, tmp_path / "folded", (3, 32, 32), probabilities=False)
    assert all(part.training for part in network.sublayers(include_self=True))
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    loaded = paddle.jit.load(str(tmp_path / "folded"))
    loaded.eval()
    got = loaded(paddle.to_tensor(images)).numpy()
    np.testing.assert_allclose(got, run_dynamic(network, images), rtol=1e-4, atol=1e-6)
    network.eval()
    batch = paddle.static.InputSpec([None, 3, 32, 32], "float32", "x")
    paddle.jit.save(Exported(network, False), str(tmp_path / "plain"), input_spec=[batch])
    program = _program(tmp_path).suffix
    assert b"batch_norm" in (tmp_path / f"plain{program}").read_bytes()
    assert b"batch_norm" not in (tmp_path / f"folded{program}").read_bytes()
    for suffix in (".pdiparams", program):
        sizes = [(tmp_path / f"{name}{suffix}").stat().st_size for name in ("folded", "plain")]
        assert sizes[0] < sizes[1]


def test_modes_come_back_after_an_error(network: paddle.nn.Layer) -> None:
    network.head.eval()
    with pytest.raises(KeyError), evaluation_mode(network):
        assert not network.training and not network.c1.training
        raise KeyError
    assert network.training and network.c1.training and not network.head.training


def test_a_network_without_rows_of_logits_is_refused(network: paddle.nn.Layer) -> None:
    with pytest.raises(ExportError, match=r"logits \[n, classes\]"):
        run_dynamic(network.c1, np.zeros((1, 3, 32, 32), np.float32))


def test_device_follows_the_weights(network: paddle.nn.Layer) -> None:
    assert device_of(network) == "cpu"
    assert device_of(paddle.nn.ReLU()) == "cpu"


def test_device_is_named_with_its_number() -> None:
    place = SimpleNamespace(is_cpu_place=lambda: False, gpu_device_id=lambda: 1)
    network = SimpleNamespace(parameters=lambda: [SimpleNamespace(place=place)])
    assert device_of(network) == "gpu:1"


class _Foreign(paddle.nn.Layer):
    """A layer of somebody else, whose code depends on the size of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = paddle.nn.Linear(3 * 4 * 4, 2)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        flat = x.reshape([x.shape[0], -1])
        if x.shape[0] > 1:
            flat = flat * 2
        return self.fc(flat)


@pytest.mark.parametrize("inside", [False, True])
def test_layers_of_others_may_depend_on_the_batch(tmp_path: Path, inside: bool) -> None:
    network = paddle.nn.Sequential(ConvBNAct(3, 3, 1), _Foreign()) if inside else _Foreign()
    write_program(network, tmp_path / "p", (3, 4, 4), probabilities=False)
    loaded = paddle.jit.load(str(tmp_path / "p"))
    loaded.eval()
    for count in (1, 3):
        images = np.random.default_rng(0).standard_normal((count, 3, 4, 4), dtype=np.float32)
        expected = run_dynamic(network, images)
        np.testing.assert_allclose(
            loaded(paddle.to_tensor(images)).numpy(), expected, rtol=1e-4, atol=1e-5
        )
