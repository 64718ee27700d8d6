"""What a measurement depends on besides the program: processor, versions, load."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Dict, List, Optional

import ppcls
from ppcls.runtime import available_cores

PACKAGES = [
    "paddlepaddle",
    "paddlepaddle-gpu",
    "onnxruntime",
    "openvino",
    "paddle2onnx",
    "nncf",
    "numpy",
    "opencv-python-headless",
    "mlcommons-loadgen",
]

FLAGS = [
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
]
"""Instructions that decide how fast a network is, and in which precision."""

VARIABLES = [
    "OMP_NUM_THREADS",
    "MKL_DEBUG_CPU_TYPE",
    "KMP_BLOCKTIME",
    "KMP_AFFINITY",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
]
_GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"


def environment(threads: Optional[int]) -> Dict[str, Any]:
    """Describe this machine and the versions on it, in plain values.

    Args:
        threads: that engines were asked to use; None is one per core.
    """
    cpuinfo = _text("/proc/cpuinfo")
    known = set(_field(cpuinfo, "flags").split())
    return {
        "cpu": _field(cpuinfo, "model name") or platform.processor() or platform.machine(),
        "cores": available_cores(),
        "cores_of_machine": os.cpu_count(),
        "threads": threads or available_cores(),
        "flags": [flag for flag in FLAGS if flag in known],
        "hypervisor": "hypervisor" in known,
        "governor": _text(_GOVERNOR).strip() or None,
        "memory": _memory(),
        "load_average": load_average(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "ppcls": ppcls.__version__,
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def load_average() -> Optional[List[float]]:
    """Return how many processes wanted to run in the last 1, 5 and 15 minutes."""
    try:
        return [round(load, 2) for load in os.getloadavg()]
    except OSError:
        return None


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{name}\s*: (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _memory() -> Optional[int]:
    found = re.search(r"^MemTotal:\s+(\d+) kB$", _text("/proc/meminfo"), re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def _version(package: str) -> Optional[str]:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
