"""What is known of the networks of a family besides their code: `backbone/<family>.yaml`.

Exact parameter counts, multiply-accumulates counted by other toolkits, and what others published:
metrics, and weights with their preprocessing. The records of published weights, the tests and the
tables of networks read it here; a new variant is a row in the family's Python file, and one there.
`publishers.yaml` beside this file says once what many families share. Nothing here needs Paddle.

Counts of torchvision 0.29.1 and timm 1.0.31 are half of what PyTorch's FlopCounterMode counts,
operator by operator; those of PaddleClas 2.6.0 are output positions times weights, over its layers,
without what it calculates in vain.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Dict, Iterable, Iterator, List, Optional, Tuple

from pydantic import Field, ValidationError

from ppcls.checking import Section
from ppcls.config.document import Document, read_document
from ppcls.config.schema import describe
from ppcls.errors import ConfigError, did_you_mean

FOLDER = Path(__file__).with_name("backbone")
_SHARED = Path(__file__).with_name("publishers.yaml")

Count = Annotated[int, Field(gt=0)]
Macs = Dict[Count, Count]
Fraction = Annotated[float, Field(ge=0, le=1)]
Triple = Annotated[Tuple[float, float, float], Field(strict=False)]


class WeightFiles(Section):
    """Where a publisher's weights are, and how images are prepared for them.

    Attributes:
        address: ``https://...`` or ``package:FOLDER/.../FILE`` of an installed package; {name}
            stands for the name of the weights.
        licence: SPDX name of the licence.
        interpolation: as for ResizeImage.
        backend: as for ResizeImage.
        mean: what is subtracted from each channel, of values between 0 and 1.
        std: what each channel is then divided by.
        install: what `pip install` calls the package that an address names; empty otherwise.
    """

    address: str
    licence: str
    interpolation: str
    backend: str
    mean: Triple
    std: Triple
    install: str = ""


class Publisher(Section):
    """Who published metrics, and perhaps the weights that have them.

    Attributes:
        source: the page that gives the metrics.
        weights: None where the weights cannot be fetched.
    """

    source: str
    weights: Optional[WeightFiles] = None


class Publication(Section):
    """The metrics of one set of weights on the ImageNet-1k validation images.

    Attributes:
        by: a publisher of the family's file or of `publishers.yaml`.
        resize: length of the shorter side, in pixels, to which evaluation resizes an image.
        crop: side of the square, in pixels, that it then cuts from the centre.
        top1: fraction of the images that it gets right; None where no metric is published.
        top5: the same for the five most probable classes.
        sha256: hash of the file in hexadecimal, None where the publisher gives none.
    """

    by: str
    resize: Count = 256
    crop: Count = 224
    top1: Optional[Fraction] = None
    top5: Optional[Fraction] = None
    sha256: Optional[str] = None


class FurtherWeights(Publication):
    """Weights that are not the first of their network.

    Attributes:
        network: which network they are for.
    """

    network: str


class TableRow(Section):
    """A row of PaddleClas' table of other networks, besides the metrics in `Publication`.

    Attributes:
        row: its number in that table.
        flops: in billions.
        parameters: in millions.
        reference_top1: the paper's top-1, as a fraction.
        reference_top5: the paper's top-5, as a fraction.
    """

    row: Count
    flops: float
    parameters: float
    reference_top1: Optional[Fraction] = None
    reference_top5: Optional[Fraction] = None


class NetworkData(Section):
    """What is known of one registered network with its default arguments.

    Attributes:
        parameters: trainable ones, exactly, as published with the network or counted by another
            implementation of it.
        macs: {side of the image in pixels: multiply-accumulates} of convolutions and fully
            connected layers for one image in evaluation, as other toolkits count them.
        counted_by: the toolkits that count so many.
        published: what its weights achieve.
        table: its row of a published table of costs.
    """

    parameters: Count
    macs: Macs = Field(default_factory=dict)
    counted_by: List[str] = Field(default_factory=list)
    published: Optional[Publication] = None
    table: Optional[TableRow] = None


class FamilyData(Section):
    """What is known of the networks of one file of `ppcls.arch.backbone`.

    Attributes:
        publishers: those of this family only; what is read has those of `publishers.yaml` too.
        networks: {registered name: what is known of it}.
        further_weights: {name of the weights: what is known of them}.
        relatives: {toolkit: {its network: as `NetworkData.macs`}} of networks elsewhere that are
            ones of this family with other arguments.
    """

    publishers: Dict[str, Publisher] = Field(default_factory=dict)
    networks: Dict[str, NetworkData] = Field(default_factory=dict)
    further_weights: Dict[str, FurtherWeights] = Field(default_factory=dict)
    relatives: Dict[str, Dict[str, Macs]] = Field(default_factory=dict)

    def publications(self) -> Iterator[Tuple[str, str, Publication]]:
        """Yield name, network and metrics of every set of weights."""
        for name, network in self.networks.items():
            if network.published:
                yield name, name, network.published
        for name, further in self.further_weights.items():
            yield name, further.network, further


@cache
def families() -> Dict[str, FamilyData]:
    """Return what is known of every family, by the name of its file.

    Raises:
        ConfigError: a file is not as `FamilyData` says; the message has file, line and key.
    """
    return {file.stem: read_family(file) for file in sorted(FOLDER.glob("*.yaml"))}


def networks() -> Dict[str, NetworkData]:
    """Return what is known of every network, by its registered name."""
    return {name: row for family in families().values() for name, row in family.networks.items()}


def read_family(file: Path) -> FamilyData:
    """Read one file, and add the shared publishers to its own.

    Raises:
        ConfigError: the file is not as `FamilyData` says; the message has file, line and key.
    """
    document = read_document(file)
    family = _checked(document)
    family.publishers = {**_shared_publishers(), **family.publishers}
    for name, row in family.networks.items():
        if row.published:
            _expect_one_of(
                family.publishers, row.published.by, document, ("networks", name, "published", "by")
            )
    for name, weights in family.further_weights.items():
        path = ("further_weights", name)
        _expect_one_of(family.networks, weights.network, document, (*path, "network"))
        _expect_one_of(family.publishers, weights.by, document, (*path, "by"))
    return family


@cache
def _shared_publishers() -> Dict[str, Publisher]:
    return _checked(read_document(_SHARED)).publishers


def _checked(document: Document) -> FamilyData:
    try:
        return FamilyData.model_validate(document.data)
    except ValidationError as error:
        mistakes = [f"{describe(document, item['loc'])}: {item['msg']}" for item in error.errors()]
        raise ConfigError("\n".join(mistakes)) from None


def _expect_one_of(
    accepted: Iterable[str], name: str, document: Document, path: Tuple[str, ...]
) -> None:
    if name not in accepted:
        raise ConfigError(
            f"{describe(document, path)}: there is no '{name}' here."
            f"{did_you_mean(name, accepted)} Accepted: {', '.join(accepted)}"
        )
