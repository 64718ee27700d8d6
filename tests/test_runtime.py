"""What is settled before Paddle is imported, and on which device a run goes."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import platform
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List

import pytest

from ppcls import runtime
from ppcls.errors import UsageError

PRINT_THREADS = (
    "import os; from ppcls import runtime; runtime.prepare(); print(os.environ['OMP_NUM_THREADS'])"
)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.slow
def test_the_user_is_never_overruled(run_python: Run) -> None:
    assert run_python("-c", PRINT_THREADS, env={"OMP_NUM_THREADS": "1"}).stdout.strip() == "1"


@pytest.mark.slow
def test_threads_follow_the_cores_and_nothing_else_is_printed(run_python: Run) -> None:
    found = run_python("-c", f"import os; os.environ.pop('OMP_NUM_THREADS', None); {PRINT_THREADS}")
    assert found.stdout.strip() == str(runtime.available_cores())
    assert found.stderr == ""


@pytest.mark.slow
def test_paddle_that_was_loaded_before_gets_the_same_threads(run_python: Run) -> None:
    hide = "import os, sys; os.environ.pop('OMP_NUM_THREADS', None); import paddle"
    start = f"{hide}; from ppcls import runtime; runtime._started_with = lambda name: "
    found = run_python("-c", f"{start}False; {PRINT_THREADS}")
    assert found.stdout.strip() == str(runtime.available_cores())
    assert run_python("-c", f"{start}True; {PRINT_THREADS}").stdout.strip() == "1"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc here")
def test_only_what_the_process_was_started_with_counts_as_the_users(run_python: Run) -> None:
    ask = (
        "import os; os.environ['LATER'] = '1'; from ppcls import runtime;"
        "print(runtime._started_with('EARLIER'), runtime._started_with('LATER'))"
    )
    assert run_python("-c", ask, env={"EARLIER": "1"}).stdout.split() == ["True", "False"]


def test_cores_are_those_of_the_process() -> None:
    assert 1 <= runtime.available_cores() <= len(os.sched_getaffinity(0))


def test_without_paddle_one_line_says_what_to_install(run_python: Run) -> None:
    hide = (
        "import importlib.util, sys; real = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name, *a: None if name == 'paddle' else real(name, *a);"
    )
    found = run_python("-W", "default", "-c", f"{hide} import ppcls; print(ppcls.__version__)")
    assert found.returncode == 0 and not found.stderr, "those who only predict need no Paddle"
    found = run_python("-c", f"{hide} import ppcls; ppcls.train('x.yaml')")
    last = found.stderr.splitlines()[-1]
    assert last.startswith("ImportError: Paddle is not installed: run `pip install 'paddlepaddle")
    found = run_python(
        "-W", "ignore", "-c", f"{hide} from ppcls.cli import main; sys.exit(main(['zoo']))"
    )
    assert found.returncode == 2
    assert found.stderr.startswith("error: Paddle is not installed: run `pip install")


def test_a_device_that_is_not_there_is_refused() -> None:
    import paddle

    assert runtime.use_device("cpu") == "cpu"
    if paddle.device.is_compiled_with_cuda():
        pytest.skip("this Paddle may have a GPU")
    assert runtime.use_device("auto") == "cpu"
    message = r"the device '{}' is asked for, but .*CPU build.* To run on the CPU: -o Global"
    for device in ("gpu", "gpu:1"):
        with pytest.raises(UsageError, match=message.format(device)):
            runtime.use_device(device)
    for device in ("tpu", "gpu:x", "gpu:", "", "CPU"):
        with pytest.raises(UsageError, match=f"unknown device '{device}'; accepted: auto, cpu"):
            runtime.use_device(device)


def test_gpus_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    import paddle

    monkeypatch.setattr(paddle.device, "is_compiled_with_cuda", lambda: True)
    monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: 2)
    chosen = [runtime.choose_device(name, "") for name in ("auto", "gpu", "gpu:1", "cpu")]
    assert chosen == ["gpu:0", "gpu:0", "gpu:1", "cpu"]
    with pytest.raises(UsageError, match=r"Paddle sees 2 GPU.* To run on the CPU: --device cpu"):
        runtime.choose_device("gpu:2", "--device cpu")
    monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: 0)
    assert runtime.choose_device("auto", "") == "cpu"


def test_random_numbers_are_a_function_of_seed_and_step() -> None:
    import paddle

    def draw(seed: int, step: int) -> list:
        runtime.seed_step(seed, step)
        return paddle.rand([4]).tolist()

    assert draw(1, 2) == draw(1, 2)
    assert len({tuple(draw(seed, step)) for seed in range(3) for step in range(3)}) == 9


def test_the_processor_says_what_it_is() -> None:
    assert runtime.cpu_model()
    if sys.platform == "linux" and platform.machine() == "x86_64":
        assert "sse2" in runtime.cpu_flags()


def test_lines_of_native_code_are_left_out_and_others_kept(run_python: Run) -> None:
    code = (
        "import ctypes, os, sys\n"
        "from ppcls import runtime\n"
        "libc = ctypes.CDLL(None)\n"
        "print('before')\n"
        "with runtime.without_lines('Noise[0-9]'):\n"
        "    libc.puts(b'Noise1')\n"
        "    libc.puts(b'Noise2 that says more')\n"
        "    os.write(2, b'Noise3\\nan error\\n')\n"
        "    print('from Python')\n"
        "os.write(2, b'Noise4\\n')\n"
        "print('after')"
    )
    done = run_python("-c", code)
    said = ["before", "Noise2 that says more", "from Python", "after"]
    assert sorted(done.stdout.splitlines()) == sorted(said)
    assert done.stdout.splitlines()[-1] == "after"
    assert done.stderr.splitlines() == ["an error", "Noise4"]


def test_an_error_gives_the_streams_back(run_python: Run) -> None:
    code = (
        "from ppcls import runtime\n"
        "try:\n"
        "    with runtime.without_lines('x'):\n"
        "        print('x'); print('y'); 1 / 0\n"
        "except ZeroDivisionError:\n"
        "    print('x')"
    )
    assert run_python("-c", code).stdout.splitlines() == ["y", "x"]


def test_threads_that_leave_lines_out_give_the_streams_back(run_python: Run) -> None:
    code = (
        "import os, threading, time\n"
        "from ppcls import runtime\n"
        "before = os.readlink('/proc/self/fd/1')\n"
        "def act():\n"
        "    for _ in range(20):\n"
        "        with runtime.without_lines('x'): time.sleep(0.001)\n"
        "threads = [threading.Thread(target=act) for _ in range(4)]\n"
        "[one.start() for one in threads]; [one.join() for one in threads]\n"
        "print(os.readlink('/proc/self/fd/1') == before)"
    )
    assert run_python("-c", code).stdout == "True\n"


def test_streams_that_are_closed_are_left_alone(run_python: Run) -> None:
    code = (
        "import os\n"
        "from ppcls import runtime\n"
        "os.close(2)\n"
        "with runtime.without_lines('x'): pass\n"
        "print('still here')"
    )
    assert run_python("-c", code).stdout == "still here\n"


_KEPT = """
from pathlib import Path
from ppcls import runtime
assert runtime.keep_freed_memory()
heaps, flags = [], []
for line in Path("/proc/self/smaps").read_text().splitlines():
    if "-" in line.split()[0]:
        is_heap = line.endswith("[heap]")
        if is_heap:
            begin, end = (int(place, 16) for place in line.split()[0].split("-"))
            heaps.append(end - begin)
    elif line.startswith("VmFlags") and is_heap:
        flags.append("hg" in line.split())
    elif line.startswith("Rss") and is_heap:
        print("resident", line.split()[1])
assert any(size > 1 << 30 and flag for size, flag in zip(heaps, flags)), (heaps, flags)
"""


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage/enabled").exists(), reason="no large pages here"
)
def test_kept_memory_is_in_large_pages_and_taken_only_where_written_to() -> None:
    done = subprocess.run([sys.executable, "-c", _KEPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) < 100_000  # KiB


def fail(*given: object, **options: object) -> Any:
    """What a call does on a machine that lacks what it asks for."""
    raise OSError("not on this machine")


@pytest.mark.parametrize(
    ("said", "cores"),
    [
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("400000 100000", 4),
        ("max 100000", 8),
        ("800000 100000", 8),
        ("1600000 100000", 8),
        ("nonsense", 8),
    ],
)
def test_a_container_has_no_more_cores_than_its_quota(
    said: str, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(8))
    monkeypatch.setattr(Path, "read_text", lambda path, *given: said)
    assert runtime.available_cores() == cores


def test_a_missing_paddle_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="Paddle is not installed: run `pip install"):
        runtime.prepare()


def test_paddle_that_was_loaded_gets_as_many_threads_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: List[int] = []
    core = SimpleNamespace(set_num_threads=given.append)
    monkeypatch.setitem(sys.modules, "paddle", SimpleNamespace())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: core)
    monkeypatch.setattr(importlib, "import_module", {"paddle.base.core": core}.__getitem__)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_DEBUG_CPU_TYPE", "5")
    monkeypatch.setattr(runtime, "available_cores", lambda: 3)
    monkeypatch.setattr(runtime, "_started_with", lambda name: True)
    assert (runtime.prepare(), given) == ({}, []), "the user has asked for one"
    monkeypatch.setattr(runtime, "_started_with", lambda name: False)
    assert (runtime.prepare(), given) == ({"OMP_NUM_THREADS": "3"}, [3])
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_without_proc_the_usual_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", fail)
    monkeypatch.setattr(Path, "read_bytes", fail)
    assert not runtime.is_amd() and runtime.cpu_flags() == frozenset()
    assert runtime.cpu_model() == platform.machine()
    assert runtime._started_with("ANYTHING"), "a number of threads may be the user's"


@pytest.mark.parametrize(
    ("refused", "asked"),
    [({-3: 2}, [(-3, 1 << 30), (-3, 1 << 25)]), ({-1: 1}, [(-3, 1 << 30), (-1, (1 << 31) - 1)])],
)
def test_memory_is_given_back_where_the_c_library_refuses_to_keep_it(
    refused: Dict[int, int], asked: List[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: List[Any] = []

    def mallopt(parameter: int, value: int) -> int:
        calls.append((parameter, value))
        return int(parameter not in refused)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    assert not runtime.keep_freed_memory()
    assert calls == asked, "nothing else is changed"


@pytest.mark.parametrize("library", [fail, lambda name: SimpleNamespace()])
def test_other_c_libraries_stay_as_they_are(
    library: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert not runtime.keep_freed_memory()


def test_ctrl_c_while_paddle_is_loaded_ends_a_command_at_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ended: List[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(runtime, "ctrl_c_leaves", True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with runtime._leaving_at_once():
            signal.raise_signal(signal.SIGINT)
        assert ended == [130] and capfd.readouterr().err == "stopped by Ctrl-C\n"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_call_paths_are_left_out_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a Paddle that has no `name_struct`."""
    from paddle.nn.layer import layers

    monkeypatch.delattr(layers, "name_struct", raising=False)
    with runtime.without_call_paths():
        assert not traceback.extract_stack() and not hasattr(layers, "name_struct")
    assert traceback.extract_stack()


def test_lines_are_left_out_in_this_process_too(capfd: pytest.CaptureFixture[str]) -> None:
    with runtime.without_lines("Noise[0-9]"):
        os.write(1, b"Noise1\na result\n")
        os.write(2, b"Noise2\nNoise3 that says more\n")
    assert tuple(capfd.readouterr()) == ("a result\n", "Noise3 that says more\n")


def test_without_a_place_for_files_every_line_is_written(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    with runtime.without_lines("Noise[0-9]"):
        os.write(1, b"Noise1\na result\n")
    assert capfd.readouterr().out == "Noise1\na result\n"
