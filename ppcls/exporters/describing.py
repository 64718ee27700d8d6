"""What a bundle says of itself: the parts of `inference.yml`, and the versions that made it."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import paddle
from pydantic import ValidationError

import ppcls
from ppcls.checking import mistakes
from ppcls.data.transforms import Pipeline
from ppcls.errors import ExportError
from ppcls.exporters.form import Form
from ppcls.exporters.paddlex import Portable
from ppcls.exporters.static import Shape
from ppcls.inference.bundle import build_pipeline
from ppcls.inference.description import (
    CONFIG_NAME,
    MULTI_LABEL,
    ONE_CLASS,
    Description,
    InputKeys,
    OutputKeys,
    format_version,
)


def described_input(shape: Shape, form: Form) -> InputKeys:
    """Return how a network takes images of `shape`, (c, h, w), in words of `inference.yml`."""
    channels, height, width = shape
    return InputKeys.model_validate(
        {
            "channels": channels,
            "height": height,
            "width": width,
            "dtype": form.dtype,
            "layout": form.layout,
            "batch": form.batch,
        }
    )


def described(
    model_name: str,
    input: InputKeys,
    written: Portable,
    names: List[str],
    topk: int,
    provenance: Mapping[str, Any],
    threshold: Optional[float] = None,
) -> Description:
    """Return the description of a bundle, without formats and files, of which there are none yet;
    with a threshold it is of images with any number of classes.

    Raises:
        ExportError: a value is not what a bundle may hold.
    """
    kind = ONE_CLASS if threshold is None else MULTI_LABEL
    given = {"kind": kind, "classes": len(names), "threshold": threshold}
    output = OutputKeys.model_validate(given)
    config = {
        "Global": {"model_name": model_name},
        "PreProcess": {"DecodeImage": written.decode, "transform_ops": written.transform_ops},
        "PostProcess": {"Topk": {"topk": min(topk, len(names)), "label_list": names}},
        "Bundle": {
            "format_version": format_version(input, output),
            "input": input.model_dump(),
            "output": output.model_dump(),
            "files": {},
            "provenance": {**versions(), "exported": now(), **provenance},
        },
    }
    try:
        return Description.model_validate(config)
    except ValidationError as error:
        raise ExportError("; ".join(mistakes(error))) from None


def check_same_preprocessing(
    transform: Pipeline, written: Portable, input: InputKeys, form: Form
) -> None:
    """Run the original pipeline and the one that a reader will rebuild: no number may differ.

    Raises:
        ExportError: one does.
    """
    ops = [{"DecodeImage": written.decode}, *written.transform_ops]
    rebuilt = build_pipeline(ops, CONFIG_NAME, input)
    height, width = transform.output_size or (0, 0)
    photo = np.random.default_rng(0).integers(
        0, 256, (2 * height + 33, 2 * width + 50, 3), dtype=np.uint8
    )
    found = rebuilt(photo)[None]
    if form.levels is not None:
        found = form.levels.normalised(found)
    if not np.array_equal(transform(photo)[None], found):
        raise ExportError(
            f"the Eval transforms cannot be written to {CONFIG_NAME} without changing their result"
        )


def versions() -> Dict[str, str]:
    """Return what a bundle is made with, and where."""
    return {
        "ppcls": ppcls.__version__,
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
    }


def now() -> str:
    """Return the time in UTC, as bundles note it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
