"""The static program: a network as a graph that runs without its Python code."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import numpy as np
import paddle
from paddle import nn

from ppcls.arch.network import evaluation_mode
from ppcls.arch.reparam import reparameterise
from ppcls.errors import ExportError
from ppcls.exporters.form import PLAIN, Form
from ppcls.runtime import without_call_paths

Shape = Tuple[int, int, int]
"""Of an image: (c, h, w)."""


@paddle.jit.not_to_static
def _traced(network: nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
    """Run `network` as it is, where Paddle would first rewrite the source of all its layers."""
    return network(images)


def _is_traceable(network: nn.Layer) -> bool:
    """Whether nothing in it depends on what is known at run time only, such as the batch size.

    The tests make sure of that for this toolkit's networks. Rewriting takes longer than all the
    rest of an export, but Paddle has to do it for those of others.
    """
    known = ("ppcls.arch.", "paddle.nn.")
    layers = network.sublayers(include_self=True)
    return all(type(layer).__module__.startswith(known) for layer in layers)


class Exported(nn.Layer):
    """A network as it is exported: its logits, or its probabilities; of normalised images, or of
    levels of uint8, which it normalises.

    Only such a wrapper becomes a static program, never the network itself: Paddle 2.6 cannot make
    one of a layer that it has already seen inside another.
    """

    def __init__(self, network: nn.Layer, probabilities: bool, form: Form = PLAIN) -> None:
        super().__init__()
        self.network = network
        self.traceable = _is_traceable(network)
        self.probabilities = probabilities
        self.multi_label = form.multi_label
        self.levels = levels = form.levels
        if levels is not None:
            factor, shift = map(paddle.to_tensor, levels.factor_and_shift())
            self.register_buffer("factor", factor)
            self.register_buffer("shift", shift)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """Turn images [n, c, h, w], or levels, into logits or probabilities [n, classes]."""
        if self.levels is not None:
            images = images.astype("float32")
            if self.levels.layout == "hwc":
                images = images.transpose([0, 3, 1, 2])
            images = images * self.factor + self.shift
        if self.traceable:
            logits = _traced(self.network, images)
        else:
            logits = self.network(images)
        if not self.probabilities:
            return logits
        if self.multi_label:
            return nn.functional.sigmoid(logits)
        return nn.functional.softmax(logits, axis=-1)


def write_program(
    network: nn.Layer,
    prefix: Path,
    shape: Shape,
    probabilities: bool = True,
    form: Form = PLAIN,
) -> List[Path]:
    """Write PREFIX.json or .pdmodel (the program) and PREFIX.pdiparams. Return both.

    The program is that of the re-parameterised network; `network` itself is left as it is.

    Args:
        network: a classifier.
        prefix: the path without its suffix.
        shape: (c, h, w) of an image.
        probabilities: give probabilities instead of logits.
        form: how the program takes its images.

    Raises:
        ExportError: Paddle cannot turn the network into a static program.
    """
    batch = paddle.static.InputSpec([form.batch, *form.shape(shape)], form.dtype, "x")
    try:
        deployed = Exported(reparameterise(network), probabilities, form)
        deployed.eval()
        with without_call_paths():
            paddle.jit.save(deployed, str(prefix), input_spec=[batch])
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
        name = type(network).__name__
        raise ExportError(f"Paddle cannot make a static program of {name}: {error}") from error
    # A pickle of variable names that Paddle 2.6 adds; nothing reads it at inference.
    prefix.with_suffix(".pdiparams.info").unlink(missing_ok=True)
    return [program_of(prefix), prefix.with_suffix(".pdiparams")]


def program_of(prefix: Path) -> Path:
    """Return the program that `write_program` wrote: that of Paddle 3.x, else that of 2.6."""
    new = prefix.with_suffix(".json")
    return new if new.is_file() else prefix.with_suffix(".pdmodel")


def run_dynamic(network: nn.Layer, images: np.ndarray) -> np.ndarray:
    """Return the logits, float32 [n, classes], of images, float32 [n, c, h, w].

    Raises:
        ExportError: the network does not take images of this size, or returns anything but one row
            of numbers per image.
    """
    weights = network.parameters()
    place = weights[0].place if weights else None
    try:
        with evaluation_mode(network), paddle.no_grad():
            logits = network(paddle.to_tensor(images, place=place))
    except (ValueError, RuntimeError) as error:
        raise ExportError(
            f"{type(network).__name__} does not take images of {images.shape[2]} x "
            f"{images.shape[3]} pixels (height x width): {_reason(error)}"
        ) from None
    if not isinstance(logits, paddle.Tensor) or logits.ndim != 2:
        shape = getattr(logits, "shape", type(logits).__name__)
        raise ExportError(
            f"a classification network returns logits [n, classes], this one gives {shape}"
        )
    return np.asarray(logits.numpy(), dtype=np.float32)


def _reason(error: Exception) -> str:
    """Return the sentence that matters in one of Paddle's long error messages."""
    text = str(error).rpartition("Error Message Summary:")[2]
    lines = [line.strip() for line in text.splitlines() if line.strip(" -")]
    return lines[0] if lines else type(error).__name__


def device_of(network: nn.Layer) -> str:
    """Return "cpu" or "gpu:N", wherever the network's weights are."""
    weights = network.parameters()
    if not weights or weights[0].place.is_cpu_place():
        return "cpu"
    return f"gpu:{weights[0].place.gpu_device_id()}"
