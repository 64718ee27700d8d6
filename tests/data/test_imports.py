"""What importing the data package brings along."""

from __future__ import annotations

from typing import Any

import pytest

MODULES = [
    "ppcls.data.transforms",
    "ppcls.data.dataset",
    "ppcls.data.batch_transforms",
    "ppcls.data.sampler",
    "ppcls.data.loader",
    "ppcls.data.prepare",
]


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_needs_numpy_and_opencv_only(module: str, run_python: Any) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = {'paddle', 'PIL', 'sklearn', 'scipy', 'matplotlib', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = run_python("-c", code)
    assert result.stdout.strip() == "[]", result.stderr
