"""Make the project's virtual environment, or say that it is current: the work behind `make setup`.

One pip call installs the clone (editable) with Paddle for this machine and the development tools.
A stamp inside the environment records what it was made from, so that a second call only compares.
An environment is made anew when its making was interrupted, when it lost a package, and when
another Python made it or it lies in another place.

Any Python 3 can read this file (so: no `from __future__`), as it tells too old ones what they are.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON, NEWEST_PYTHON = (3, 9), (3, 13)
INPUTS = ("requirements.txt", "setup.py", "pyproject.toml")
STAMP, UNFINISHED, LOG = ".ppcls-stamp.json", ".ppcls-unfinished", "setup.log"

MODULES = ["PIL", "cv2", "matplotlib", "numpy", "paddle", "pip", "ppcls", "pydantic", "pytest"]
MODULES += ["safetensors", "sklearn", "tqdm", "yaml"]
"""What a healthy environment can find; losing one of them is what being broken means here."""

FIND = """
import sys
from importlib.util import find_spec
sys.exit(not all(getattr(find_spec(name), "origin", None) for name in MODULES))
"""
VERSIONS = """
import platform, numpy, cv2, paddle, ppcls
print(f"Python {platform.python_version()}, PACKAGE {paddle.__version__}, "
      f"NumPy {numpy.__version__}, OpenCV {cv2.__version__}")
"""

GPU_HINT = (
    "PyPI has paddlepaddle-gpu 2.6.2, for Python 3.9 to 3.12; Paddle's own index has 3.x: "
    "make setup PADDLE_INDEX=https://www.paddlepaddle.org.cn/packages/stable/cu126/ "
    "(without the GPU: make setup PADDLE=cpu)"
)


class Paddle(NamedTuple):
    """Which Paddle to install, and the reason that is told."""

    package: str
    why: str

    @property
    def extra(self) -> str:
        """The extra of setup.py that brings it."""
        return "gpu" if self.package.endswith("-gpu") else "cpu"


class Request(NamedTuple):
    """What the environment is to be."""

    venv: Path
    paddle: Paddle
    constraints: Optional[Path] = None
    extra_index: str = ""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Make or check the environment; return the exit status."""
    options = _options(argv)
    problem = python_problem(sys.version_info[:3], (3, options.newest_minor))
    if problem:
        fail(problem)
    with (ROOT / "setup.py").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once would write into the same folder
        venv = ROOT / options.venv
        paddle = choose_paddle(options.paddle, read_stamp(venv))
        make(Request(venv, paddle, options.constraints, os.environ.get("PADDLE_INDEX", "")))
    return 0


def make(request: Request) -> None:
    """Bring the environment into the requested state with as little work as possible."""
    venv, stamp = request.venv, read_stamp(request.venv)
    because = f"{request.paddle.package}, because {request.paddle.why}"
    if stamp and stamp["key"] == key(request) and is_healthy(venv):
        tell(f"{shown(venv)} is current: {stamp['summary']} ({because})")
        return
    tell(because)
    reason = reason_to_start_anew(stamp, request)
    if reason:
        tell(f"{shown(venv)} {reason}; making it anew")
        shutil.rmtree(venv)
    started = time.monotonic()
    install(request)
    summary = summarise(request)
    write_stamp(request, summary)
    tell(f"{shown(venv)} is ready after {time.monotonic() - started:.0f} s: {summary}")


def python_problem(version: Tuple[int, ...], newest: Tuple[int, int] = NEWEST_PYTHON) -> str:
    """Return one line that says why this Python cannot be used, or nothing."""
    if OLDEST_PYTHON <= version[:2] <= newest:
        return ""
    accepted = [f"python3.{minor}" for minor in range(newest[1], OLDEST_PYTHON[1] - 1, -1)]
    found = [name for name in accepted if starts(name)] or ["/path/to/python3.11"]
    dotted = ".".join(map(str, version))
    return (
        f"Python 3.9 to 3.{newest[1]} is needed here, and {sys.executable} is {dotted}; "
        f"name another one by adding PYTHON={found[0]}"
    )


def starts(command: str) -> bool:
    """Whether a command of that name is there and works."""
    try:
        return subprocess.run([command, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def choose_paddle(wanted: str, stamp: Dict[str, Any]) -> Paddle:
    """Return the Paddle for this machine: `wanted` is "cpu", "gpu", or "auto" to ask nvidia-smi."""
    if wanted == "cpu":
        return Paddle("paddlepaddle", "PADDLE=cpu was given")
    if wanted == "gpu":
        return Paddle("paddlepaddle-gpu", "PADDLE=gpu was given")
    if not shutil.which("nvidia-smi"):
        return Paddle("paddlepaddle", "there is no nvidia-smi here, so no NVIDIA GPU")
    # Asking takes seconds on some machines: where it answered once, it is not asked again.
    if stamp.get("package") == "paddlepaddle-gpu" or nvidia_smi_answers():
        return Paddle("paddlepaddle-gpu", "nvidia-smi lists a GPU; PADDLE=cpu overrules that")
    return Paddle("paddlepaddle", "nvidia-smi lists no GPU; PADDLE=gpu overrules that")


def nvidia_smi_answers() -> bool:
    """Whether the driver lists a GPU."""
    try:
        answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and b"GPU" in answer.stdout


def key(request: Request) -> str:
    """Return what changes exactly when the environment must change."""
    files = [ROOT / name for name in INPUTS]
    if request.constraints:
        files.append(ROOT / request.constraints)
    parts = [path.read_bytes() for path in files]
    parts += [text.encode() for text in (home(), request.paddle.package, request.extra_index)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def home() -> str:
    """Return what an environment is bound to for life: its Python, and the clone's place."""
    return f"Python {platform.python_version()} in {ROOT}"


def read_stamp(venv: Path) -> Dict[str, Any]:
    """Return what a finished environment was made from, and nothing for any other."""
    try:
        stamp = json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return {} if (venv / UNFINISHED).exists() else stamp


def write_stamp(request: Request, summary: str) -> None:
    """Record that the environment is finished, and what it was made from."""
    stamp = {"key": key(request), "home": home(), "package": request.paddle.package}
    (request.venv / STAMP).write_text(json.dumps({**stamp, "summary": summary}))
    (request.venv / UNFINISHED).unlink()


def is_healthy(venv: Path) -> bool:
    """Whether its Python starts and finds every package; none is imported, to be quick."""
    command = [python_of(venv), "-I", "-c", FIND.replace("MODULES", repr(MODULES))]
    try:
        return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def reason_to_start_anew(stamp: Dict[str, Any], request: Request) -> str:
    """Return why the folder cannot be kept; nothing when pip alone can bring it up to date."""
    venv = request.venv
    if not venv.exists():
        return ""
    if (venv / UNFINISHED).exists() or not any(venv.iterdir()):
        return "was left unfinished"
    if not (venv / "pyvenv.cfg").exists() and not stamp:
        fail(f"'{venv}' is no virtual environment: move it away, or use another: VENV=.venv2")
    if stamp and stamp["home"] != home():
        return f"was made for {stamp['home']}, and this is {home()}"
    if not is_healthy(venv) and (stamp or not starts(python_of(venv))):
        return "has lost packages or its Python"
    return ""


def install(request: Request) -> None:
    """Make the environment if there is none, and let pip bring everything in one call."""
    venv, pip = request.venv, [python_of(request.venv), "-m", "pip"]
    venv.mkdir(parents=True, exist_ok=True)
    (venv / UNFINISHED).touch()
    size = "some gigabytes" if request.paddle.extra == "gpu" else "about 250 MB"
    tell(f"installing into {shown(venv)}; the first time, {size} are downloaded")
    if not (venv / "pyvenv.cfg").exists():
        make_empty(venv)
    if pip_version(venv) < (22, 0):  # older ones cannot install this clone as editable
        run([*pip, "install", "pip>=22"], venv)
    other = "paddlepaddle" if request.paddle.extra == "gpu" else "paddlepaddle-gpu"
    if any(venv.glob(f"lib/python*/site-packages/{other.replace('-', '_')}-*.dist-info")):
        run([*pip, "uninstall", "--yes", other], venv)  # both fill the same folder `paddle`
    hint = GPU_HINT if request.paddle.extra == "gpu" else "is the network there?"
    run([*pip, *pip_arguments(request)], venv, hint)


def make_empty(venv: Path) -> None:
    """Make an environment that holds pip alone."""
    if importlib.util.find_spec("ensurepip") is None:
        fail(f"{sys.executable} has no 'venv'; on Debian and Ubuntu: apt-get install python3-venv")
    run([sys.executable, "-m", "venv", str(venv)], venv)


def pip_arguments(request: Request) -> List[str]:
    """Return the one `pip install`, so that pip can choose versions that fit together."""
    arguments = ["install", "--disable-pip-version-check"]
    arguments += ["--editable", f".[{request.paddle.extra},dev]"]
    if request.constraints:
        arguments += ["--constraint", str(request.constraints)]
    if request.extra_index:
        arguments += ["--extra-index-url", request.extra_index]
    return arguments


def pip_version(venv: Path) -> Tuple[int, ...]:
    """Return the first two numbers of the environment's pip version; (0,) when it has none."""
    command = [python_of(venv), "-c", "import pip; print(pip.__version__)"]
    answer = subprocess.run(command, capture_output=True, text=True)
    return tuple(map(int, answer.stdout.split(".")[:2])) if answer.returncode == 0 else (0,)


def summarise(request: Request) -> str:
    """Import what was installed, and return the versions in words."""
    look = VERSIONS.replace("PACKAGE", request.paddle.package)
    command = [python_of(request.venv), "-I", "-c", look]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        fail(f"what was installed cannot be imported:\n{answer.stderr[-2000:]}")
    return answer.stdout.strip().splitlines()[-1]


def run(command: List[str], venv: Path, hint: str = "") -> None:
    """Run one step; a terminal shows all of its output, elsewhere only a failure is shown."""
    log = None if sys.stdout.isatty() else (venv / LOG).open("a+")
    status = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT).returncode
    if status != 0:
        if log:
            print((venv / LOG).read_text(errors="replace")[-3000:], flush=True)
        fail(f"this step failed: {' '.join(command)}" + (f"\nsetup: {hint}" if hint else ""))


def python_of(venv: Path) -> str:
    """Return the environment's interpreter."""
    return str(venv / "bin/python")


def shown(venv: Path) -> str:
    """Return the environment's folder as the user knows it."""
    return os.path.relpath(venv, ROOT)


def tell(line: str) -> None:
    """Print one line of progress."""
    print(f"setup: {line}", flush=True)


def fail(line: str) -> NoReturn:
    """Stop with a message that says what is wrong."""
    sys.exit(f"setup: {line}")


def _options(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the virtual environment of this clone.")
    parser.add_argument("--venv", default=".venv", help="its folder (default: .venv)")
    parser.add_argument("--paddle", default="auto", choices=("auto", "cpu", "gpu"))
    parser.add_argument("--constraints", type=Path, help="file of versions for pip to keep to")
    parser.add_argument(
        "--newest-minor",
        type=int,
        default=NEWEST_PYTHON[1],
        help="refuse a newer Python 3",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
