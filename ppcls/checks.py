"""What this machine and the installed packages are, what is wrong with them, and how to mend it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import ppcls
from ppcls import runtime
from ppcls.errors import PADDLE_MISSING, PpclsError
from ppcls.files import cache_folder
from ppcls.text import first_few, is_whole_number, megabytes
from ppcls.weights.hub.local import locate
from ppcls.weights.hub.records import find_record, record_names

PYTHONS = ((3, 9), (3, 13))
"""The oldest and the newest Python that ppcls is tested with."""

_MODULES = {
    "NumPy": ("numpy", "pip install 'numpy>=1.24'"),
    "OpenCV": ("cv2", "pip install --force-reinstall opencv-python-headless"),
    "ONNX Runtime": ("onnxruntime", "pip install 'ppcls[onnx]'"),
    "OpenVINO": ("openvino", "pip install 'ppcls[openvino]'"),
}
"""Packages besides Paddle: module, and what installs it."""

_NEEDED = ("NumPy", "OpenCV")

Found = Iterator["Finding"]


@dataclass(frozen=True)
class Finding:
    """What was found out about one thing.

    Attributes:
        name: what it is about.
        value: how it is.
        problem: what is wrong with it; empty if nothing is.
        advice: how to mend that, or what else could be done.
    """

    name: str
    value: str
    problem: str = ""
    advice: str = ""

    def to_dict(self) -> Dict[str, str]:
        """Return plain values."""
        return asdict(self)


def run_checks() -> List[Finding]:
    """Look at versions, device, threads, engines, cache and weights; load Paddle and compute."""
    checks: List[Callable[[], Found]] = [
        _versions, _paddle, _modules, _device, _threads, _engines, _cache, _weights,
    ]  # fmt: skip
    return [finding for check in checks for finding in check()]


def _versions() -> Found:
    yield Finding("ppcls", f"{ppcls.__version__}, in {Path(ppcls.__file__).parent}")
    oldest, newest = PYTHONS
    good = oldest <= sys.version_info[:2] <= newest
    span = f"{'.'.join(map(str, oldest))} to {'.'.join(map(str, newest))}"
    yield Finding(
        "Python",
        f"{sys.version.split()[0]}, {sys.executable}",
        "" if good else f"ppcls is tested with Python {span}",
        "" if good else "make an environment with another Python: python3.11 -m venv .venv",
    )


def _paddle() -> Found:
    installed = [name for name in ("paddlepaddle", "paddlepaddle-gpu") if _version(name)]
    if len(installed) == 2:
        yield Finding(
            "Paddle", " and ".join(installed), "both builds are installed over each other",
            "pip uninstall -y paddlepaddle paddlepaddle-gpu, then install one of them",
        )  # fmt: skip
        return
    try:
        value = _computed()
    except Exception as error:
        broken = bool(installed)
        advice = f"pip install --force-reinstall {installed[0]}" if broken else PADDLE_MISSING
        problem = f"it cannot be used: {_first_line(error)}" if broken else "it is not installed"
        yield Finding("Paddle", " ".join(map(_named, installed)) or "none", problem, advice)
        return
    yield Finding("Paddle", f"{value} ({', '.join(map(_named, installed))})", *_unfit(value))


def _computed() -> str:
    """Load Paddle, multiply, and return its version."""
    runtime.prepare()
    paddle = importlib.import_module("paddle")
    ones = paddle.ones([2, 2])
    assert float((ones @ ones).sum().item()) == 8
    return str(paddle.__version__)


def _unfit(version: str) -> Tuple[str, str]:
    if version.startswith("3.0"):
        return "ppcls does not run with Paddle 3.0", "pip install 'paddlepaddle>=3.1'"
    if version.startswith("2.") and tuple(map(int, version.split(".")[1:3])) < (6, 2):
        return "ppcls needs Paddle 2.6.2, or 3.1 and newer", "pip install 'paddlepaddle>=3.1'"
    return "", ""


def _modules() -> Found:
    for name, (module, install) in _MODULES.items():
        try:
            loaded = importlib.import_module(module)
            yield Finding(name, str(getattr(loaded, "__version__", "")) or "of unknown version")
        except ModuleNotFoundError as error:
            missing = error.name == module and name not in _NEEDED
            problem = "" if missing else f"it cannot be imported: {error}"
            yield Finding(name, "not installed", problem, install)
        except Exception as error:
            problem = f"it is installed, but cannot be imported: {_first_line(error)}"
            yield Finding(name, "broken", problem, install)


def _device() -> Found:
    yield Finding("processor", runtime.cpu_model())
    if "paddle" not in sys.modules:
        return
    try:
        chosen = runtime.choose_device("auto", "--device cpu")
    except PpclsError as error:
        yield Finding("device", "none", str(error))
        return
    unused = chosen == "cpu" and runtime.has_nvidia_gpu()
    yield Finding(
        "device",
        chosen,
        "there is an NVIDIA GPU, which this Paddle does not use" if unused else "",
        "install Paddle for GPUs: https://www.paddlepaddle.org.cn/install" if unused else "",
    )


def _threads() -> Found:
    cores, given = runtime.available_cores(), os.environ.get("OMP_NUM_THREADS", "")
    problem = advice = ""
    if is_whole_number(given) and int(given) > cores:
        problem = f"OMP_NUM_THREADS={given} is more than the {cores} cores: threads wait for others"
        advice = "unset OMP_NUM_THREADS; ppcls then takes one thread for each core"
    yield Finding("threads", f"{given or cores} of {cores} cores", problem, advice)
    yield Finding("MKL", *_mkl())


def _mkl() -> Tuple[str, str, str]:
    """Say which instructions the math library in Paddle's wheel uses."""
    path = os.environ.get("MKL_DEBUG_CPU_TYPE")
    if not runtime.is_amd():
        return "its own choice, right on this processor", "", ""
    if path is None:
        return "not loaded", "", ""
    if path == "5":
        return "AVX2, as ppcls sets it on AMD (MKL_DEBUG_CPU_TYPE=5)", "", ""
    problem = f"MKL_DEBUG_CPU_TYPE={path} makes training up to three times slower on AMD"
    return f"MKL_DEBUG_CPU_TYPE={path}", problem, "unset MKL_DEBUG_CPU_TYPE"


def _engines() -> Found:
    try:
        from ppcls.inference.engines import ENGINES, is_installed
    except ImportError:  # what it needs is one of the packages above
        yield Finding("engines", "unknown as long as a package above is missing")
        return
    usual = [name for name, row in ENGINES.items() if row.in_auto]
    here = [name for name in usual if is_installed(name)]
    gone = [ENGINES[name].missing for name in usual if name not in here]
    problem = "" if here else "no engine is installed, so nothing can predict"
    yield Finding("engines", ", ".join(here) or "none", problem, "; ".join(gone))


def _cache() -> Found:
    folder = cache_folder()
    problem, size = "", ""
    try:
        size = _size(folder)
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(nearest, os.W_OK):
            problem = f"{nearest} cannot be written to"
    except OSError as error:
        problem = str(error)
    advice = "name another folder: export PPCLS_HOME=/some/folder" if problem else ""
    yield Finding("cache", f"{folder}, {size or 'unreadable'}", problem, advice)


def _size(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return megabytes(sum(path.stat().st_size for path in files)) if files else "empty"


def _weights() -> Found:
    here = [name for name in record_names() if locate(find_record(name)).path]
    advice = "" if here else "ppcls weights pull NAME; `ppcls weights list` shows the names"
    yield Finding("weights", first_few(here, 5) or "none at hand", "", advice)


def _version(package: str) -> Optional[str]:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _named(package: str) -> str:
    return f"{package} {_version(package)}"


def _first_line(error: Any) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
