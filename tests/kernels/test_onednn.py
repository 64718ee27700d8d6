"""The library is there, or it is said why not; what it makes does not pile up."""

from __future__ import annotations

import resource
from pathlib import Path

import paddle
import pytest
from paddle import nn

from ppcls.kernels import layout
from ppcls.kernels.feature_map import FeatureMap
from ppcls.kernels.layers import convolved
from ppcls.kernels.onednn import Library, Unavailable, library


def test_the_library_is_that_of_the_installed_paddle() -> None:
    assert library().version.startswith("3.")


def test_no_library_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no_such_file"):
        Library(tmp_path / "no_such_file.so.3")


def test_another_library_is_a_reason() -> None:
    with pytest.raises(Unavailable, match="dnnl_engine_create"):
        Library(Path("libc.so.6"))


def test_the_oldest_operators_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_MOST", 3)
    made = [layout.cached(("test", key), lambda key=key: [key]) for key in range(4)]
    assert layout.cached(("test", 3), list) is made[3]
    assert layout.cached(("test", 0), list) == []


@pytest.mark.slow
def test_memory_stays_flat_over_thousands_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_MOST", 8)
    layer = nn.Conv2D(16, 16, 3, padding=1)
    sizes = []
    for step in range(3000):
        x = paddle.ones([1, 16, 6 + step % 5, 6])
        x.stop_gradient = False
        y = convolved(layer, FeatureMap.of(x), layer.weight, layer.bias, "relu6")
        y.plain().sum().backward()
        layer.clear_gradients()
        if step >= 1000:
            sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert sizes[-1] - sizes[0] < 4096  # KiB
