"""How long networks take: measured on one machine, and published for others.

`measured_latency.json` is written by `ppcls benchmark deploy --write-tables`, never by hand;
`published_latency.yaml` is copied from the pages that it names. The tables of networks show both.
Nothing here needs Paddle.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Dict, List, Optional

from pydantic import Field, ValidationError

from ppcls.checking import Section, mistakes
from ppcls.errors import ConfigError
from ppcls.files import read_regular
from ppcls.yaml_text import read_value

MEASURED = Path(__file__).with_name("measured_latency.json")
PUBLISHED = Path(__file__).with_name("published_latency.yaml")

BATCH_SIZES = (1, 4, 8)
"""Those of the published tables."""

_MOST_BYTES = 16_000_000

Milliseconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Three = Annotated[List[Milliseconds], Field(min_length=3, max_length=3)]


class MeasuredLatency(Section):
    """The median time of a batch in an engine, preprocessing excluded.

    Attributes:
        network: its registered name.
        engine: paddle, onnxruntime, openvino or auto.
        precision: fp32, bf16 or int8.
        batch_size: images at once.
        milliseconds: the median for the whole batch.
        low: lower end of its interval of 95 %; None where there were too few queries.
        high: upper end.
        queries: how many it is the median of.
        weights: where the network's weights come from, which time does not depend on.
    """

    network: str
    engine: str
    precision: str
    batch_size: Count
    milliseconds: Milliseconds
    low: Optional[Milliseconds] = None
    high: Optional[Milliseconds] = None
    queries: Count
    weights: str = ""


class MeasuredLatencies(Section):
    """All that was measured on one machine.

    Attributes:
        created: when the last of it was.
        command: what was typed for it.
        environment: the machine and the versions on it.
        rows: the figures.
    """

    created: str = ""
    command: List[str] = Field(default_factory=list)
    environment: Dict[str, Any] = Field(default_factory=dict)
    rows: List[MeasuredLatency] = Field(default_factory=list)

    def find(self, network: str, engine: str, precision: str, batch_size: int) -> Optional[float]:
        """Return the median of a batch in milliseconds, or None."""
        wanted = (network, engine, precision, batch_size)
        found = (row.milliseconds for row in self.rows if _key(row) == wanted)
        return next(found, None)

    def fastest(self, network: str, precision: str, batch_size: int) -> Optional[float]:
        """Return the least median of any engine in milliseconds, or None."""
        wanted = (network, precision, batch_size)
        found = [
            row.milliseconds
            for row in self.rows
            if (row.network, row.precision, row.batch_size) == wanted and row.engine != "auto"
        ]
        return min(found, default=None)

    def replaced(self, fresh: MeasuredLatencies) -> MeasuredLatencies:
        """Return `fresh` with the rows that only these have, if they are of the same machine."""
        if any(self.environment.get(key) != fresh.environment.get(key) for key in _MACHINE):
            return fresh
        again = {_key(row) for row in fresh.rows}
        kept = [row for row in self.rows if _key(row) not in again]
        rows = sorted([*kept, *fresh.rows], key=_key)
        return fresh.model_copy(update={"rows": rows})


_MACHINE = ("cpu", "cores", "threads", "versions")
"""What figures must have in common to stand in one table."""


def _key(row: MeasuredLatency) -> Any:
    return row.network, row.engine, row.precision, row.batch_size


class PublishedLatency(Section):
    """A row of the published tables: milliseconds for a batch.

    Attributes:
        crop: side in pixels of the image.
        resize: length of the shorter side before it is cut out.
        v100_fp32: on a V100, float32, one image.
        t4_fp16: on a T4, float16, 1, 4 and 8 images.
        t4_fp32: the same in float32.
    """

    crop: Count
    resize: Count
    v100_fp32: Milliseconds
    t4_fp16: Optional[Three] = None
    t4_fp32: Optional[Three] = None


class PublishedLatencies(Section):
    """The published tables.

    Attributes:
        sources: the pages.
        networks: {network: its row}.
    """

    sources: List[str]
    networks: Dict[str, PublishedLatency]


@cache
def measured_latencies() -> MeasuredLatencies:
    """Return what `read_measured` reads of the toolkit's own file; nothing if there is none."""
    return read_measured(MEASURED) if MEASURED.is_file() else MeasuredLatencies()


def read_measured(path: Path) -> MeasuredLatencies:
    """Read a file of measured latencies.

    Raises:
        ConfigError: it is not as `MeasuredLatencies` says.
    """
    try:
        return MeasuredLatencies.model_validate_json(read_regular(path, _MOST_BYTES))
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(mistakes(error))}") from None


@cache
def published_latencies() -> PublishedLatencies:
    """Return the published tables.

    Raises:
        ConfigError: the file is not as `PublishedLatencies` says.
    """
    try:
        return PublishedLatencies.model_validate(read_value(PUBLISHED))
    except ValidationError as error:
        raise ConfigError(f"{PUBLISHED}: {'; '.join(mistakes(error))}") from None
