"""What the processor of this machine can do."""

from __future__ import annotations

import pytest

from ppcls.kernels.onednn import library

needs_bfloat16 = pytest.mark.skipif(
    not library().has_bfloat16, reason="this processor does not multiply bfloat16"
)
