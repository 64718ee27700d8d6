"""What must be settled before Paddle is imported, and which device a run uses.

Paddle reads thread counts and the choice of MKL's code path from the environment when it is loaded.
`prepare` sets them for this machine and never overrides what the user has set.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import logging
import os
import platform
import re
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Callable, Dict, FrozenSet, Iterator, List, Tuple

from ppcls.errors import PADDLE_MISSING, UsageError
from ppcls.progress import waiting

ctrl_c_leaves = False
"""Whether Ctrl-C may end the process while Paddle is imported: it may where it is a command's."""

_USUAL = signal.default_int_handler
_STREAMS = threading.RLock()
_REPLACING = threading.RLock()

DEVICES = r"auto|cpu|gpu(:\d+)?"
"""A regular expression of all names of devices."""


def available_cores() -> int:
    """Return how many CPU cores this process may use: its affinity, limited by a cgroup quota."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(cores, _cgroup_quota(cores)))


def _cgroup_quota(default: int) -> int:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return default if quota == "max" else max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return default


def prepare() -> Dict[str, str]:
    """Set the environment that Paddle reads when it is loaded, and load it; return what was set.

    Where Paddle is loaded already, its threads are set all the same, and MKL's path as long as
    nothing has been computed; a number of threads that the process was started with is kept.

    - Threads: Paddle forces one OpenMP thread unless told otherwise.
    - MKL: the version inside Paddle's CPU wheel takes a slow path on AMD processors unless it is
      told to use the one for AVX2.
    - Paddle's warnings while it is imported are of no use to users and are left out.

    Raises:
        UsageError: Paddle is not installed.
    """
    if importlib.util.find_spec("paddle") is None:
        raise UsageError(PADDLE_MISSING)
    wanted = {"OMP_NUM_THREADS": str(available_cores()), "GLOG_minloglevel": "2"}
    if is_amd():
        wanted["MKL_DEBUG_CPU_TYPE"] = "5"
    changed = {key: value for key, value in wanted.items() if key not in os.environ}
    warnings.filterwarnings("ignore", module=r"paddle\..*")
    if "paddle" in sys.modules:
        return _catch_up(changed)
    os.environ.update(changed)
    # Paddle prints two lines about any number of threads but one, which says nothing to users.
    aside = io.StringIO()
    with waiting("loading Paddle"), _leaving_at_once(), contextlib.redirect_stderr(aside):
        importlib.import_module("paddle")
    _return_stderr(aside)
    return changed


_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEPT, _MOST_KEPT = 1 << 30, (1 << 31) - 1
_MADV_HUGEPAGE, _HEAP = 14, 3 << 29


def keep_freed_memory() -> bool:
    """Let the process keep memory that it frees, up to a GiB in a piece and 2 GiB at the end of its
    heap; return whether it does.

    Each step of training frees what the next one needs again. glibc gives large blocks back to the
    system at once, which then hands out zeroed pages anew: a fifth of the time of a MobileNet's
    step on CPUs. Other C libraries have no such settings.
    """
    try:
        library = ctypes.CDLL("libc.so.6")
        mallopt = library.mallopt
    except (OSError, AttributeError):
        return False
    # Some releases take no more than half of their heaps, and any of the settings ends what glibc
    # adapts by itself: the first one decides whether there is something to gain.
    if not any(mallopt(_M_MMAP_THRESHOLD, size) for size in (_KEPT, 1 << 25)):
        return False
    if not mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT):
        return False
    _use_large_pages(library)
    return bool(mallopt(_M_TOP_PAD, 1 << 26))


def _use_large_pages(library: ctypes.CDLL) -> None:
    """Ask for pages of 2 MB in the first `_HEAP` bytes that the process allocates, where the system
    gives such pages to those who ask: a tenth of a step's time on CPUs.

    The heap is made that large at once, as what it grows by later is not asked for; it takes memory
    only where it is written to.
    """
    library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    library.mallopt(_M_TOP_PAD, _HEAP)
    library.free(library.malloc(1 << 26))
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            if line.endswith("[heap]"):
                begin, end = (int(place, 16) for place in line.split()[0].split("-"))
                library.madvise(
                    ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_HUGEPAGE
                )


@contextlib.contextmanager
def _leaving_at_once() -> Iterator[None]:
    """Let Ctrl-C end the command: within an import it would get lost, or come out as another
    error.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not (ctrl_c_leaves and is_main and signal.getsignal(signal.SIGINT) == _USUAL):
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _USUAL)


def _leave(number: int, frame: object) -> None:
    os.write(2, b"stopped by Ctrl-C\n")
    os._exit(128 + number)


def _return_stderr(aside: io.StringIO) -> None:
    """Let log handlers that Paddle made while it was imported write where they mean to."""
    others = [log for log in logging.root.manager.loggerDict.values() if hasattr(log, "handlers")]
    for log in (logging.root, *others):
        for handler in log.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is aside:
                handler.setStream(sys.stderr)


def _catch_up(changed: Dict[str, str]) -> Dict[str, str]:
    """Set what still can be set once Paddle is loaded; return it.

    Paddle writes "1" into OMP_NUM_THREADS where nobody has set it, so that only the environment
    that the process was started with tells whose number it is. Where that cannot be read, as
    outside Linux, the number stays.
    """
    late = {key: changed[key] for key in changed if key == "MKL_DEBUG_CPU_TYPE"}
    if os.environ.get("OMP_NUM_THREADS") == "1" and not _started_with("OMP_NUM_THREADS"):
        late["OMP_NUM_THREADS"] = str(available_cores())
        core = importlib.import_module("paddle.base.core")
        core.set_num_threads(available_cores())
    os.environ.update(late)
    return late


def _started_with(variable: str) -> bool:
    """Whether the process was started with this variable, or that is unknown."""
    try:
        entries = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return True
    return any(entry.startswith(f"{variable}=".encode()) for entry in entries)


def is_amd() -> bool:
    """Whether the processor is one of AMD."""
    return "AuthenticAMD" in _cpuinfo()


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def cpu_model() -> str:
    """Return what the processor calls itself, or its kind."""
    found = re.search(r"^model name\s*: (.*)$", _cpuinfo(), re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def cpu_flags() -> FrozenSet[str]:
    """Return the instruction sets of the processor, as Linux calls them: avx2, avx512_bf16, ..."""
    found = re.search(r"^flags\s*: (.*)$", _cpuinfo(), re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()


def nvidia_gpus() -> List[str]:
    """Return what NVIDIA's driver says of the GPUs, a text for each, without asking any library."""
    folders = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return [path.read_text("utf-8", "replace") for path in folders]


def has_nvidia_gpu() -> bool:
    """Whether the system shows an NVIDIA GPU, without asking any library."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


@contextlib.contextmanager
def without_call_paths() -> Iterator[None]:
    """Keep Paddle from noting at each operator of a static graph which calls led to it.

    The call stack of Python takes more time than the rest where it is deep; for the path of layers,
    which only Paddle's automatic parallelism reads, each layer copies the list of all operators.
    """
    from paddle.nn.layer import layers

    without: List[Tuple[ModuleType, str, Callable[..., Any]]] = [
        (traceback, "extract_stack", lambda f=None, limit=None: traceback.StackSummary()),
        (layers, "name_struct", lambda prefix=None: contextlib.nullcontext()),
    ]
    # Two threads would put back each other's replacements.
    with _REPLACING, contextlib.ExitStack() as stack:
        for module, name, replacement in without:
            stack.enter_context(_replaced(module, name, replacement))
        yield


@contextlib.contextmanager
def _replaced(module: ModuleType, name: str, replacement: Callable[..., Any]) -> Iterator[None]:
    """Let `module` have another function inside, where it has one of this name."""
    original = getattr(module, name, None)
    if original is None:
        yield
        return
    setattr(module, name, replacement)
    try:
        yield
    finally:
        setattr(module, name, original)


@contextlib.contextmanager
def without_lines(pattern: str) -> Iterator[None]:
    """Leave out lines that match `pattern` as a whole from what native code writes to stdout and
    stderr, and write the others when it is done.
    """
    # The descriptors belong to the whole process: two threads would put back each other's files.
    with _STREAMS, _filtered(1, pattern), _filtered(2, pattern):
        yield


@contextlib.contextmanager
def _filtered(descriptor: int, pattern: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            aside = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # a closed stream needs no filter; and there may be no place for files
            yield
            return
        _flush()
        os.dup2(aside.fileno(), descriptor)
        try:
            yield
        finally:
            _flush()
            os.dup2(kept, descriptor)
            _write_others(aside, descriptor, pattern)


def _write_others(lines: IO[bytes], descriptor: int, pattern: str) -> None:
    """Write the lines that do not match."""
    lines.seek(0)
    for line in lines:
        if not re.fullmatch(pattern, line.decode("utf-8", "replace").strip()):
            os.write(descriptor, line)


def _flush() -> None:
    """Write what Python and the C library still hold back."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)


def use_device(wanted: str, to_cpu: str = "-o Global.device=cpu") -> str:
    """Make Paddle use a device and return its name, "cpu" or "gpu:N"; see `choose_device`."""
    import paddle

    chosen = choose_device(wanted, to_cpu)
    paddle.set_device(chosen)
    return chosen


def choose_device(wanted: str, to_cpu: str) -> str:
    """Return the name of a device that this Paddle can use, "cpu" or "gpu:N".

    Args:
        wanted: "auto" (a GPU where there is one), "cpu", "gpu" or "gpu:N".
        to_cpu: the option that asks for the CPU, for the message.

    Raises:
        UsageError: it is something else, or there is no such GPU.
    """
    import paddle

    if not re.fullmatch(DEVICES, wanted):
        raise UsageError(f"unknown device '{wanted}'; accepted: auto, cpu, gpu, gpu:N")
    with_cuda = paddle.device.is_compiled_with_cuda()
    count = paddle.device.cuda.device_count() if with_cuda else 0
    if wanted == "cpu" or (wanted == "auto" and not count):
        return "cpu"
    index = int(wanted.partition(":")[2] or 0)
    if index < count:
        return f"gpu:{index}"
    reason = (
        f"Paddle sees {count} GPU(s); is the driver installed and CUDA_VISIBLE_DEVICES right?"
        if with_cuda
        else "the installed Paddle is its CPU build (the GPU build is the package paddlepaddle-gpu)"
    )
    raise UsageError(
        f"the device '{wanted}' is asked for, but {reason}. To run on the CPU: {to_cpu}"
    )


def peak_memory(device: str) -> int:
    """Return the most memory in bytes that this process had so far; on a GPU, of the GPU's.

    `ru_maxrss` counts what the process that started this one had, where the kernel tells no more.
    """
    if device != "cpu":
        import paddle

        return int(paddle.device.cuda.max_memory_allocated())
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        status = ""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if found:
        return 1024 * int(found[1])
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def refuse_many_processes() -> None:
    """Make sure that this is the only process of the run.

    Raises:
        UsageError: the program was started by `paddle.distributed.launch` with several processes,
            each of which would train on its own and write the same files.
    """
    if int(os.environ.get("PADDLE_TRAINERS_NUM", "1")) > 1:
        raise UsageError(
            "training with several processes is not supported yet; start one process: "
            "python tools/train.py -c FILE"
        )


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Make the device's random numbers (dropout, ...) a function of seed, step and process.

    That is all there is to restore after an interruption: no generator has a history.
    """
    import numpy as np
    import paddle

    mixed = int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint32)[0])
    paddle.seed(mixed)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and Paddle once, before the network is initialised."""
    import random

    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)
    seed_step(seed, 0)
