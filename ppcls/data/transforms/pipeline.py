"""A list of transforms, run one after the other."""

from __future__ import annotations

import inspect
from typing import Any, Dict, List, Literal, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from ppcls.data.transforms.base import Shape, Transform
from ppcls.data.transforms.crop import RandCropImage
from ppcls.data.transforms.decode import DecodeImage
from ppcls.data.transforms.finish import finish_of
from ppcls.data.transforms.normalize import ToCHWImage
from ppcls.errors import ConfigError
from ppcls.registry import Part, as_part


class Pixels(NamedTuple):
    """An image as DecodeImage made it of a file; see `Pipeline.decoded`."""

    values: np.ndarray


Source = Union[bytes, np.ndarray, Pixels]
Op = Union[Part, Transform, str, Mapping[str, Any]]


class Pipeline:
    """Turns the bytes of an image file, or an RGB image, into the array that a network reads.

    The list may begin with DecodeImage and end with ToCHWImage; where they are left out they are
    added.

    Attributes:
        is_random: whether two calls on the same image may differ.
        output_dtype: the type of the arrays, as NumPy has it.
        finish: the end of the list, NormalizeImage and ToCHWImage, for many images at once; None
            where the list does not end so.
    """

    def __init__(
        self,
        ops: Sequence[Op],
        output_dtype: Literal["float32", "uint8"] = "float32",
        output_layout: Literal["chw", "hwc"] = "chw",
    ) -> None:
        """Build the ops and follow the image's shape through them.

        Args:
            ops: the transforms: parts of a recipe, what a recipe writes (`{"CropImage": {"size":
                224}}`), or transforms that are built already.
            output_dtype: uint8 leaves the levels as they are, a quarter of the bytes, for whoever
                normalises whole batches later.
            output_layout: hwc leaves the channels last, for whoever moves them later.

        Raises:
            ConfigError: an op is unknown, its arguments make no sense, or do not fit the op before
                it, or uint8 is wanted of a list that normalises, or hwc of one that moves the
                channels.
        """
        built: List[Any] = [
            op if isinstance(op, Transform) else as_part("transform", op).build() for op in ops
        ]
        if any(isinstance(op, DecodeImage) for op in built[1:]):
            raise ConfigError(
                "DecodeImage must be the first of transform_ops, and stand there once"
            )
        self._decode = (
            built.pop(0) if built and isinstance(built[0], DecodeImage) else DecodeImage()
        )
        self._ops: List[Transform] = built
        self._crop = _crop_of_files(self._decode, built)
        shape = self._decode.shape_after(Shape())
        before = [shape]
        for op in self._ops:
            shape = op.shape_after(shape)
            before.append(shape)
        if shape.layout == "hwc" and output_layout == "chw":
            self._ops.append(ToCHWImage())
        if shape.layout == "chw" and output_layout == "hwc":
            raise ConfigError(
                "the channels stand first after this list where they are wanted last; remove "
                "ToCHWImage"
            )
        if output_dtype == "uint8" and shape.dtype != "uint8":
            raise ConfigError(
                f"{shape.dtype} images come out of this list where uint8 ones are wanted; remove "
                "NormalizeImage"
            )
        self._shape = shape
        self._output = (output_dtype, output_layout)
        self.output_dtype = np.dtype(output_dtype)
        self.is_random = any(op.is_random for op in self._ops)
        self._first_ops, self.finish = len(self._ops), None
        if output_dtype == "float32":
            self._first_ops, self.finish = finish_of(self._ops, before)

    def at(self, progress: float) -> Pipeline:
        """Return the pipeline as it is at a stage of training: itself, unless an op changes.

        Args:
            progress: the fraction of the epochs that is over, 0 to 1.
        """
        ops = [op.at(progress) for op in self._ops]
        if all(op is before for op, before in zip(ops, self._ops)):
            return self
        return Pipeline([self._decode, *ops], *self._output)

    def in_size(self, width: int, height: int) -> Pipeline:
        """Return the pipeline for images of another size in pixels.

        Raises:
            ConfigError: no op settles the size, or those behind one do not fit the new one.
        """
        found = Pipeline(
            [self._decode, *(op.in_size(width, height) for op in self._ops)], *self._output
        )
        if found.output_size != (height, width):
            raise ConfigError(
                f"images are wanted in {width}x{height} pixels, but this list settles another size "
                "or none; let RandCropImage, or ResizeImage with size, be the only op that does"
            )
        return found

    @property
    def ops(self) -> Sequence[Transform]:
        """The transforms after decoding."""
        return tuple(self._ops)

    @property
    def channels(self) -> int:
        """The number of channels of the arrays."""
        return self._shape.channels

    @property
    def output_size(self) -> Optional[Tuple[int, int]]:
        """(height, width) in pixels of the arrays, or None when it differs from image to image."""
        if self._shape.height is None or self._shape.width is None:
            return None
        return self._shape.height, self._shape.width

    def __call__(
        self,
        source: Source,
        rng: Optional[np.random.Generator] = None,
        out: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """Return an array in `output_layout`, of `output_dtype`.

        Args:
            source: the bytes of an image file; or an image: height x width (x 1 or 3), uint8, RGB;
                or what `decoded` gave.
            rng: the source of all randomness; left out, a fixed one.
            out: where to write the result, of its shape and type; saves a copy.

        Raises:
            BadImageError: the bytes are no complete image, or the image is too small for a crop.
        """
        image = self._after(source, rng, len(self._ops))
        if out is None:
            return np.ascontiguousarray(image, dtype=self.output_dtype)
        np.copyto(out, image)
        return out

    def levels(
        self, source: Source, rng: Optional[np.random.Generator], out: np.ndarray
    ) -> np.ndarray:
        """Write the image as it is before `finish`, uint8 [h, w, channels], and return it.

        Raises:
            BadImageError: see above.
        """
        np.copyto(out, self._after(source, rng, self._first_ops))
        return out

    def decoded(self, data: bytes) -> Union[bytes, Pixels]:
        """Return the pixels of a file, from which the other ops start; or the file, where these say
        how it is to be decoded.

        Raises:
            BadImageError: the bytes are no complete image.
        """
        return data if self._crop else Pixels(self._decode(data))

    def _after(self, source: Source, rng: Optional[np.random.Generator], count: int) -> np.ndarray:
        """Return the image after the first `count` ops."""
        rng = np.random.default_rng(0) if rng is None and self.is_random else rng
        image, done = self._begun(source, rng)
        for op in self._ops[done:count]:
            image = op(image, rng)  # type: ignore[arg-type]
        return image

    def _begun(self, source: Source, rng: Optional[np.random.Generator]) -> Tuple[np.ndarray, int]:
        """Return the decoded image, and how many ops are done."""
        if isinstance(source, Pixels):
            return source.values, 0
        if isinstance(source, np.ndarray):
            return self._decode.adopt(source), 0
        if self._crop is None:
            return self._decode(source, rng), 0
        assert rng is not None
        file = self._decode.inspect(source)
        return self._crop.of_file(file, self._decode, rng), 1

    def spec(self) -> List[Dict[str, Dict[str, Any]]]:
        """Return the ops as plain ``{Name: {argument: value}}`` with every argument resolved."""
        return [{type(op).__name__: _arguments(op)} for op in [self._decode, *self._ops]]


def _crop_of_files(decode: DecodeImage, ops: Sequence[Transform]) -> Optional[RandCropImage]:
    """Return the crop that says in which size files are read, if one does.

    Raises:
        ConfigError: one is to do so, but does not come next.
    """
    if not decode.scaled:
        return None
    if ops and isinstance(ops[0], RandCropImage):
        return ops[0]
    raise ConfigError(
        "DecodeImage.scaled reads files in the size that RandCropImage needs, which must be the "
        "next op; put it there, or leave scaled out"
    )


def _arguments(op: Transform) -> Dict[str, Any]:
    return {name: getattr(op, name) for name in inspect.signature(type(op)).parameters}
