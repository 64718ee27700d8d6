"""How many unreadable images are too many."""

from __future__ import annotations

import pytest

from ppcls.data.batch import BadImage
from ppcls.engine.bad_samples import BadSampleCount
from ppcls.engine.world import World
from ppcls.errors import DataError


# 0.29 * 100 is below 29 in floating-point arithmetic.
@pytest.mark.parametrize(("total", "limit", "accepted"), [(100, 0.29, 29), (10, 0.0, 0)])
def test_just_the_accepted_fraction_may_be_bad(total: int, limit: float, accepted: int) -> None:
    bad = [BadImage(index, f"{index}.png", 0, "cut off") for index in range(accepted + 1)]
    count = BadSampleCount(total, limit, World())
    count.add(bad[:accepted])
    with pytest.raises(DataError, match=f"{accepted + 1} of {total} training images"):
        count.add(bad)
