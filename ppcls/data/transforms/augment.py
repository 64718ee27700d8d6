"""Random changes of colour and shape from lists: AutoAugment, RandAugment, TrivialAugment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, List, Optional, Tuple

import numpy as np
from pydantic import Field

from ppcls.data.transforms.base import (
    Shape,
    Transform,
    at_stage,
    require_hwc,
    with_channel_axis,
)
from ppcls.data.transforms.changes import (
    AUG_MIX,
    AUTO_AUGMENT,
    AUTO_AUGMENT_CHANGES,
    RAND_AUGMENT,
    RAND_AUGMENT_V2,
    RAND_AUGMENT_V3,
    TRIVIAL_AUGMENT,
    TRIVIAL_LEVELS,
    Drawn,
)
from ppcls.errors import ConfigError
from ppcls.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image

Magnitude = Annotated[float, Field(ge=0, le=30)]
"""How strong changes are."""

_GREY = [128, 128, 128]


class _Drawing(Transform):
    """What works on pixels by drawing changes from a list.

    Raises:
        ConfigError: the colour is not three levels.
    """

    is_random = True

    def __init__(self, fillcolor: Optional[List[int]] = None) -> None:
        self.fillcolor = _GREY if fillcolor is None else fillcolor
        if len(self.fillcolor) != 3 or not all(0 <= level <= 255 for level in self.fillcolor):
            name = type(self).__name__
            raise ConfigError(
                f"{name}.fillcolor: {self.fillcolor} is no colour; write three levels of 0 to 255"
            )

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the changed image, of the same shape, uint8."""
        from PIL import Image

        is_grey = image.shape[2] == 1
        pillow = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if is_grey else image))
        return with_channel_axis(np.asarray(self.changed(pillow, rng)))

    def changed(self, image: Image, rng: np.random.Generator) -> Image:
        """Return the changed image."""
        raise NotImplementedError

    def shape_after(self, shape: Shape) -> Shape:
        """Return the same shape.

        Raises:
            ConfigError: the images are no levels in rows of pixels any more.
        """
        if shape.dtype != "uint8":
            name = type(self).__name__
            raise ConfigError(f"{name} works on levels of uint8; put it before NormalizeImage")
        return require_hwc(self, shape)


@register("transform")
class RandAugment(_Drawing):
    """Change an image in ways that are drawn from a list, one after the other (Cubuk et al. 2019,
    arXiv:1909.13719): shear, translation, rotation, colour, contrast, sharpness, brightness, fewer
    bits, solarisation, automatic contrast, equalised histogram, inversion.

    Args:
        num_layers: how many changes.
        magnitude: how strong, 0 to 10.
        fillcolor: of pixels that come from outside of the image, three levels; grey by default.
    """

    _choices: Tuple[Drawn, ...] = RAND_AUGMENT

    def __init__(
        self,
        num_layers: Annotated[int, Field(ge=1)] = 2,
        magnitude: Annotated[float, Field(ge=0, le=10)] = 5,
        fillcolor: Optional[List[int]] = None,
    ) -> None:
        super().__init__(fillcolor)
        self.num_layers, self.magnitude = num_layers, magnitude
        self._strength = magnitude / 10

    def changed(self, image: Image, rng: np.random.Generator) -> Image:
        """Return the changed image."""
        for _ in range(self.num_layers):
            choice = self._choices[rng.integers(len(self._choices))]
            image = choice(image, self._strength, tuple(self.fillcolor), rng)
        return image


@register("transform")
class RandAugmentV2(RandAugment):
    """The same with the changes that EfficientNetV2 was trained with (Tan and Le 2021,
    arXiv:2104.00298): also lighter shadows and a filled square, and enhancements from 0.1 times on.

    Args:
        num_layers: how many changes.
        magnitude: how strong; 10 is the strength of RandAugment's 10, more goes beyond.
        progress_magnitude: strengths instead of `magnitude`, each for an equal part of the epochs.
        fillcolor: of pixels that come from outside of the image, three levels; grey by default.
    """

    _choices = RAND_AUGMENT_V2

    def __init__(
        self,
        num_layers: Annotated[int, Field(ge=1)] = 2,
        magnitude: Magnitude = 5,
        progress_magnitude: Optional[Annotated[List[Magnitude], Field(min_length=1)]] = None,
        fillcolor: Optional[List[int]] = None,
    ) -> None:
        super().__init__(num_layers, magnitude, fillcolor)
        self.progress_magnitude = progress_magnitude
        if progress_magnitude:
            self._strength = progress_magnitude[0] / 10

    def at(self, progress: float) -> RandAugmentV2:
        """Return the op with the strength of a stage of training."""
        if not self.progress_magnitude or len(self.progress_magnitude) == 1:
            return self
        return self.changed_to(_strength=at_stage(self.progress_magnitude, progress) / 10)


@register("transform")
class RandAugmentV3(RandAugment):
    """RandAugment with changes that begin at none: at strength 0, bits and bright levels stay.

    Args:
        num_layers: how many changes.
        magnitude: how strong, 0 to 10.
        fillcolor: of pixels that come from outside of the image, three levels; black by default.
    """

    _choices = RAND_AUGMENT_V3

    def __init__(
        self,
        num_layers: Annotated[int, Field(ge=1)] = 2,
        magnitude: Annotated[float, Field(ge=0, le=10)] = 3,
        fillcolor: Optional[List[int]] = None,
    ) -> None:
        super().__init__(num_layers, magnitude, [0, 0, 0] if fillcolor is None else fillcolor)


@register("transform")
class AutoAugment(_Drawing):
    """Change an image in two ways, a pair that was found for ImageNet (Cubuk et al. 2018,
    arXiv:1805.09501); one of 25 pairs is drawn, and each of its changes has a probability.

    Args:
        fillcolor: of pixels that come from outside of the image, three levels; grey by default.
    """

    def changed(self, image: Image, rng: np.random.Generator) -> Image:
        """Return the changed image."""
        for pair in AUTO_AUGMENT[rng.integers(len(AUTO_AUGMENT))].split(", "):
            probability, name, level = pair.split()
            if rng.random() < float(probability):
                choice = AUTO_AUGMENT_CHANGES[name.replace("_", " ")]
                image = choice(image, int(level) / 9, tuple(self.fillcolor), rng)
        return image


@register("transform")
class TrivialAugment(_Drawing):
    """Change an image in one way, as strongly as chance has it (Müller and Hutter 2021,
    arXiv:2103.10158, the wide space): nothing to tune.

    Args:
        fillcolor: of pixels that come from outside of the image, three levels; grey by default.
    """

    def changed(self, image: Image, rng: np.random.Generator) -> Image:
        """Return the changed image."""
        choice = TRIVIAL_AUGMENT[rng.integers(len(TRIVIAL_AUGMENT))]
        level = rng.integers(TRIVIAL_LEVELS) / (TRIVIAL_LEVELS - 1)
        return choice(image, float(level), tuple(self.fillcolor), rng)


@register("transform")
class AugMix(_Drawing):
    """Mix an image with a mixture of changed ones, each changed in ways that are drawn one after
    the other (Hendrycks et al. 2020, arXiv:1912.02781, without its loss of consistency).

    Args:
        prob: of doing so.
        aug_prob_coeff: the weights of the mixture are drawn from a Dirichlet distribution of it,
            and what the mixture makes up of the result from a Beta distribution of it: 1 draws them
            uniformly, and smaller ones are mostly near 0 and 1.
        mixture_width: how many changed images.
        mixture_depth: how many changes each has; 0 or less draws 1 to 3.
        aug_severity: how strong they are at most, 0.1 to 10.
        fillcolor: of pixels that come from outside of the image, three levels; black by default.
    """

    def __init__(
        self,
        prob: Annotated[float, Field(ge=0, le=1)] = 0.5,
        aug_prob_coeff: Annotated[float, Field(gt=0)] = 0.1,
        mixture_width: Annotated[int, Field(ge=1)] = 3,
        mixture_depth: int = 1,
        aug_severity: Annotated[float, Field(ge=0.1, le=10)] = 1,
        fillcolor: Optional[List[int]] = None,
    ) -> None:
        super().__init__([0, 0, 0] if fillcolor is None else fillcolor)
        self.prob, self.aug_prob_coeff = prob, aug_prob_coeff
        self.mixture_width, self.mixture_depth = mixture_width, mixture_depth
        self.aug_severity = aug_severity

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the mixed image, of the same shape, uint8."""
        if rng.random() >= self.prob:
            return image
        weights = rng.dirichlet([self.aug_prob_coeff] * self.mixture_width)
        part = rng.beta(self.aug_prob_coeff, self.aug_prob_coeff)
        mixture = sum(weight * super(AugMix, self).__call__(image, rng) for weight in weights)
        mixed: np.ndarray = (1 - part) * image + part * mixture
        return np.rint(mixed).astype(np.uint8)

    def changed(self, image: Image, rng: np.random.Generator) -> Image:
        """Return the image after the changes of one chain."""
        depth = self.mixture_depth if self.mixture_depth > 0 else int(rng.integers(1, 4))
        for _ in range(depth):
            level = rng.uniform(0.1, self.aug_severity) / 10
            choice = AUG_MIX[rng.integers(len(AUG_MIX))]
            image = choice(image, level, tuple(self.fillcolor), rng)
        return image
