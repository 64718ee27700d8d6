from __future__ import annotations

import pytest

from ppcls.errors import DownloadError
from ppcls.web.http import request

PRIVATE = ["127.0.0.1", "localhost", "2130706433", "10.0.0.1", "[::1]", "169.254.169.254"]


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_not_asked_where_only_public_ones_may_be(host: str) -> None:
    with (
        pytest.raises(DownloadError, match="is an address of a private network"),
        request(f"http://{host}:9/x", {}, 1.0, public_only=True),
    ):
        pass
