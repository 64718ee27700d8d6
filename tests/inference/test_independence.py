"""The predictor needs a bundle and an engine: no training code, and no Paddle at import."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Callable, List

import pytest

RunPython = Callable[..., "subprocess.CompletedProcess[str]"]

_TRAINING = [
    *(
        "ppcls.engine",
        "ppcls.exporters",
        "ppcls.arch",
        "ppcls.loss",
        "ppcls.metric",
        "ppcls.weights",
    ),
    *("ppcls.config", "ppcls.data.loader", "ppcls.data.sampler", "ppcls.data.dataset"),
    *("ppcls.optimizer", "ppcls.weights", "sklearn", "matplotlib", "scipy", "visualdl", "PIL"),
]


def _loaded(run_python: RunPython, code: str) -> List[str]:
    done = run_python("-c", f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    modules: List[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


def test_import_loads_neither_paddle_nor_training_code(run_python: RunPython) -> None:
    modules = _loaded(
        run_python,
        "import ppcls.inference.cli, ppcls.inference.output, ppcls.inference.postprocess\n"
        "from ppcls.inference import Bundle, Prediction, Predictor, read_bundle\n"
        "from ppcls.inference.sources import find_images",
    )
    assert "ppcls.inference.predictor" in modules
    assert not {"paddle", *_TRAINING} & set(modules)


@pytest.mark.slow
def test_prediction_loads_no_training_code(
    exported: Path, photos: Path, run_python: RunPython
) -> None:
    modules = _loaded(
        run_python,
        "import argparse\n"
        "from ppcls.inference import cli\n"
        "parser = argparse.ArgumentParser()\n"
        "cli.add_arguments(parser)\n"
        f"given = ['--model_dir', {str(exported)!r}, '--input', {str(photos)!r}, '--device', "
        "'cpu']\n"
        "assert cli.run(parser.parse_args(given)) == 0",
    )
    ours = {name for name in modules if name.startswith("ppcls")}
    assert "paddle" in modules and "ppcls.inference.engines.paddle_inference" in ours
    assert not ours & set(_TRAINING)


@pytest.mark.slow
def test_package_without_the_training_code_predicts(
    exported: Path, photos: Path, root: Path, tmp_path: Path, run_python: RunPython
) -> None:
    """A machine that only serves may carry these files alone."""
    kept = tmp_path / "served/ppcls"
    for name in ("inference", "data/transforms"):
        shutil.copytree(root / "ppcls" / name, kept / name, ignore=shutil.ignore_patterns("*.pyc"))
    files = ["__init__", "checking", "errors", "files", "progress", "registry", "runtime"]
    files += ["signatures", "text", "yaml_text"]
    for name in (*(f"{file}.py" for file in files), "data/__init__.py"):
        shutil.copy(root / "ppcls" / name, kept / name)
    code = (
        "import ppcls; from ppcls.inference import Predictor\n"
        f"assert ppcls.__file__.startswith({str(kept)!r})\n"
        f"rows = [Predictor({str(exported)!r}, device='cpu')({str(photos / '2.png')!r})]\n"
        "import sys; ours = [m for n, m in sys.modules.items() if n.startswith('ppcls.')]\n"
        f"print([m.__name__ for m in ours if not m.__file__.startswith({str(kept)!r})])\n"
        "print(rows[0].error is None)"
    )
    done = run_python("-c", code, cwd=tmp_path, env={"PYTHONPATH": str(kept.parent)})
    assert done.stdout.splitlines()[-2:] == ["[]", "True"], done.stderr
