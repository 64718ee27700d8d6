"""Images in, named classes with probabilities out."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

import numpy as np

from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.decode import pixels_of_pillow
from ppcls.data.transforms.imagefile import read_image_file
from ppcls.errors import BadImageError, BundleError, PpclsError, UsageError
from ppcls.files import sha256_of
from ppcls.inference.bundle import Bundle, label_mismatch, read_bundle
from ppcls.inference.description import CONFIG_NAME
from ppcls.inference.engines import Engine, EngineOptions, Runner, open_engine
from ppcls.inference.engines.auto import open_fastest
from ppcls.inference.postprocess import UNKNOWN, Ranker, Ranking
from ppcls.inference.sources import Source

Image = Union[str, Path, bytes, np.ndarray, Source, Any]
"""A path, an image file's bytes, decoded pixels, HWC uint8 RGB (HxW or HxWx1 for grey), an image of
Pillow, or a `Source`.
"""


class Timing(NamedTuple):
    """How long an image took, in ms: its share of the batch that it was part of."""

    preprocess: float
    network: float
    postprocess: float


@dataclass(frozen=True)
class Prediction:
    """What the network says about one image: its most probable classes, the most probable first;
    or, where images have any number of classes, those that it has.

    `source` is the path or address, or "bytes[i]", "array[i]" or "image[i]" (one of Pillow's) with
    the image's position in the input. `answer` is the name of the most probable class or, where
    that is less probable than the bundle's calibration asks for, "unknown"; or the names of all
    classes that the image has, with commas between, empty where it has none. When the image could
    not be used, `error` says why, the lists are empty, and there is neither `answer` nor `timing`.
    """

    source: str
    class_ids: List[int] = field(default_factory=list)
    names: List[str] = field(default_factory=list)
    scores: List[float] = field(default_factory=list)
    answer: Optional[str] = None
    error: Optional[str] = None
    timing: Optional[Timing] = field(default=None, compare=False)

    @property
    def is_unknown(self) -> bool:
        """Whether no class is probable enough to be the answer."""
        return self.answer == UNKNOWN and self.names[:1] != [UNKNOWN]

    def to_dict(self) -> Dict[str, Any]:
        """Return plain values, as a line of JSONL holds them: what is the same in every run."""
        return {name: value for name, value in vars(self).items() if name != "timing"}


class Classifier:
    """A network in an engine between preprocessing and the names of its classes.

    Args:
        transform: turns an image into an array of `input_shape`.
        input_shape: of what the network takes, mostly (channels, height, width).
        engine: turns such arrays, [n, *input_shape], into probabilities [n, classes].
        postprocess: ranks and names the classes.
        batch_size: how many images go through the network at once.
        identity: what the numbers depend on, besides the images and `batch_size`.

    Raises:
        UsageError: `batch_size` is below 1.
    """

    def __init__(
        self,
        transform: Pipeline,
        input_shape: Tuple[int, int, int],
        engine: Runner,
        postprocess: Ranker,
        batch_size: int = 8,
        identity: Optional[Mapping[str, Any]] = None,
    ) -> None:
        refuse_below_one(batch_size=batch_size)
        self.transform = transform
        self.input_shape = input_shape
        self.engine = engine
        self.postprocess = postprocess
        self.batch_size = batch_size
        self.identity = dict(identity or {})
        self._memory: Optional[np.ndarray] = None

    def __call__(self, images: Union[Image, Iterable[Image]]) -> Any:
        """Return the `Prediction` of one image, or an iterator over those of many, in their order.

        An image that cannot be used gives a prediction with an error. Many images are any iterable,
        which is read batch by batch as predictions are taken, so that it may be longer than memory.

        Raises:
            BundleError: the network does not fit its own bundle (an image's fault is never raised).
        """
        found = self.predictions(images)
        return next(found) if _is_single(images) else found

    def predictions(self, images: Union[Image, Iterable[Image]]) -> Iterator[Prediction]:
        """Yield a prediction for each image, also where it is a single one; see `__call__`."""
        remaining = iter(enumerate(_several(images)))
        while batch := list(islice(remaining, self.batch_size)):
            yield from self._predict([(_source_name(i, image), image) for i, image in batch])

    def _predict(self, batch: List[Tuple[str, Image]]) -> Iterator[Prediction]:
        started = time.perf_counter()
        inputs = [self._preprocess(image) for _, image in batch]
        usable = [item for item in inputs if isinstance(item, np.ndarray)]
        prepared = time.perf_counter()
        rows = self._probabilities(self._stacked(usable)) if usable else np.empty((0, 0))
        computed = time.perf_counter()
        best = self.postprocess(rows)
        steps = np.diff([started, prepared, computed, time.perf_counter()])
        timing = Timing(*(1000 * steps / max(len(usable), 1)).tolist())
        ranked = iter(zip(rows, best))
        for (source, _), item in zip(batch, inputs):
            if isinstance(item, str):
                yield Prediction(source, error=item)
            else:
                yield _prediction(source, *next(ranked), timing)

    def _stacked(self, images: List[np.ndarray]) -> np.ndarray:
        """Return one array of all images, in memory that the next batch takes over: new memory
        costs more than copying.
        """
        if self._memory is None or self._memory.dtype != images[0].dtype:
            self._memory = np.empty((self.batch_size, *self.input_shape), images[0].dtype)
        return np.stack(images, out=self._memory[: len(images)])

    def _preprocess(self, image: Image) -> Union[np.ndarray, str]:
        """Return an array of `input_shape`, or why the image cannot be used."""
        try:
            result = self.transform(_readable(image))
        except (PpclsError, OSError) as error:
            return str(error)
        except (
            Exception
        ) as error:  # one odd image, whatever is odd about it, never stops the others
            return f"preprocessing failed: {type(error).__name__}: {error}"
        if result.shape != self.input_shape:
            shapes = ["x".join(map(str, shape)) for shape in (result.shape, self.input_shape)]
            return f"preprocessing gives {shapes[0]}, the network takes {shapes[1]}"
        return result

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        return self.engine.run(images)


def _prediction(source: str, row: np.ndarray, best: Ranking, timing: Timing) -> Prediction:
    if not np.isfinite(row).all():
        return Prediction(source, error="the network's output is not finite (NaN or Inf)")
    ranked = best.class_ids, best.names, best.scores
    return Prediction(source, *ranked, best.answer, timing=timing)


class Predictor(Classifier):
    """An exported bundle, ready to predict.

    Args:
        model_dir: the bundle's folder.
        engine: which engine runs the network, see `ppcls.inference.engines.ENGINES`; "auto" is the
            fastest of those that are installed, see `ppcls.inference.engines.auto`.
        device: "auto" (a GPU where there is one), "cpu", "gpu" or "gpu:N".
        precision: in which numbers it computes: "fp32", "fp16", "bf16" or "int8".
        threads: CPU threads of the engine; None means one per core.
        batch_size: how many images go through the network at once.
        topk: how many classes each prediction holds; None means what the bundle says.

    Attributes:
        reason: why `auto` chose this engine; empty where it was named.

    Raises:
        BundleError: the folder is not a complete bundle, or the engine cannot load it.
        UsageError: the engine, the device or the precision is not there, the bundle does not hold
            what the engine opens, or a number is below 1.
    """

    def __init__(
        self,
        model_dir: Union[str, Path],
        engine: str = "auto",
        device: str = "auto",
        precision: str = "fp32",
        threads: Optional[int] = None,
        batch_size: int = 8,
        topk: Optional[int] = None,
    ) -> None:
        refuse_below_one(batch_size=batch_size, threads=threads, topk=topk)
        options = EngineOptions(device, threads, precision, batch_size)
        self.bundle = bundle = read_bundle(model_dir)
        transform = bundle.pipeline()
        opened, self.reason = _opened(engine, bundle, options)
        self.described = opened.describe()
        super().__init__(
            transform,
            bundle.input.image_shape,
            opened,
            bundle.ranker(topk),
            batch_size,
            {**self.described, "report": "", "bundle": sha256_of(bundle.folder / CONFIG_NAME)},
        )

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        step = self.bundle.input.batch or len(images)
        starts = range(0, len(images), step)
        parts = [super(Predictor, self)._probabilities(images[i : i + step]) for i in starts]
        result = parts[0] if len(parts) == 1 else np.concatenate(parts)
        where, classes = self.bundle.folder / CONFIG_NAME, len(self.bundle.labels)
        if result.ndim == 2 and result.shape[1] != classes:
            raise BundleError(label_mismatch(where, classes, result.shape[1]))
        if result.shape != (len(images), classes) or result.dtype.kind != "f":
            shape = "x".join(map(str, result.shape)) or "()"
            raise BundleError(
                f"{where}: the network gives {result.dtype} of shape {shape} for a batch of "
                f"{len(images)}, but it is to give float32 of shape {len(images)}x{classes}; "
                "export it again"
            )
        return result


def _opened(name: str, bundle: Bundle, options: EngineOptions) -> Tuple[Engine, str]:
    if name == "auto":
        return open_fastest(bundle, options)
    return open_engine(name, bundle, options), ""


def refuse_below_one(**numbers: Optional[int]) -> None:
    """Check numbers that a command line gave; None is a default.

    Raises:
        UsageError: one is below 1.
    """
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise UsageError(f"{name} is at least 1, got {value}")


def _several(images: Any) -> Iterable[Image]:
    return [images] if _is_single(images) else images


def _is_single(images: Any) -> bool:
    """Whether it is one image, and not several: [n, height, width, channels] are n of them."""
    if isinstance(images, np.ndarray):
        return images.ndim <= 3
    return isinstance(images, (str, Path, bytes, bytearray, Source)) or _is_pillow(images)


def _is_pillow(image: Any) -> bool:
    """Whether it is an image of Pillow, which is not imported for that."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def _source_name(position: int, image: Image) -> str:
    if isinstance(image, (str, Path)):
        return str(image)
    if isinstance(image, Source):
        return image.name
    if isinstance(image, np.ndarray):
        return f"array[{position}]"
    return f"{'image' if _is_pillow(image) else 'bytes'}[{position}]"


def _readable(image: Image) -> Union[bytes, np.ndarray]:
    """Return what the preprocessing takes: a file's bytes, or pixels."""
    if isinstance(image, (str, Path)):
        return read_image_file(str(image))
    if isinstance(image, (bytes, bytearray)):
        return bytes(image)
    if isinstance(image, np.ndarray):
        return image
    if isinstance(image, Source):
        return image.read()
    if _is_pillow(image):
        return pixels_of_pillow(image)
    raise BadImageError(
        f"expected a path, bytes, an array of pixels or an image of Pillow, got "
        f"{type(image).__name__}"
    )
