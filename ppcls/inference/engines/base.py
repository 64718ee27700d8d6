"""What the engines have in common: one way to run, to fail, and to describe themselves."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict, Sequence

import numpy as np

from ppcls import runtime
from ppcls.errors import BundleError
from ppcls.files import cache_folder, sha256_of
from ppcls.inference.engines import EngineOptions, NetworkInput


class EngineBase:
    """A network in an engine; the module of each engine fills in what is its own.

    Attributes:
        name: its row in `ppcls.inference.engines.ENGINES`.
        version: of the engine's package.
        device: where it runs, "cpu" or "gpu:N".
        precision: in which numbers it computes.
        threads: of the CPU.
    """

    name = ""
    version = ""
    device = "cpu"

    def __init__(self, path: Path, options: EngineOptions, input: NetworkInput) -> None:
        self.threads = options.threads or runtime.available_cores()
        self.precision = options.precision
        self._path, self._input = path, input

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 [n, classes], of preprocessed images, [n, *shape].

        Raises:
            BundleError: the network does not accept the images.
        """
        try:
            return self._compute(self._input.batch(images))
        except Exception as error:  # engines raise what they like, MemoryError and IndexError too
            shape = "x".join(map(str, images.shape))
            reason = self._reason(error)
            raise BundleError(
                f"{self._path}: the network fails on images of shape {shape}: {reason}"
            ) from None

    def describe(self) -> Dict[str, Any]:
        """Return what runs, where and how, and the engine's own report of what it enabled."""
        return {
            "name": self.name,
            "version": self.version,
            "device": self.device,
            "precision": self.precision,
            "threads": self.threads,
            "report": self._report(),
        }

    def _compute(self, batch: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _report(self) -> str:
        raise NotImplementedError

    def _reason(self, error: Exception) -> str:
        """Return what matters in an engine's error message."""
        return " ".join(str(error).split()) or type(error).__name__


def built_folder(
    files: Sequence[Path], version: str, options: EngineOptions, input: NetworkInput
) -> Path:
    """Make and return the folder for what TensorRT builds of a network, and of nothing else.

    Args:
        files: of the network.
        version: of the engine's package.
        options: how it runs.
        input: what it takes.
    """
    made_of = [*map(sha256_of, files), version, options.device, options.precision]
    made_of += [str(options.batch_size), str(input), *runtime.nvidia_gpus()]
    name = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:32]
    folder = cache_folder() / "tensorrt" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
