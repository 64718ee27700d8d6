"""What the commands do, as functions for Python: `ppcls.train`, `ppcls.evaluate`, `ppcls.export`.

Each takes a configuration in any form that `ppcls.config.as_config` accepts. Importing this package
loads Paddle, with the threads and the math library that suit this machine.
"""

from __future__ import annotations

from ppcls import runtime

runtime.prepare()
