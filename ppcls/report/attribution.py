"""Where in an image a network sees a class: Grad-CAM (Selvaraju et al., "Grad-CAM: Visual
Explanations from Deep Networks via Gradient-Based Localization", ICCV 2017).
"""

from __future__ import annotations

from typing import List

import cv2
import numpy as np
import paddle

from ppcls.arch.network import Network, evaluation_mode


def grad_cam(network: Network, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return, for each place of the last stage's feature map, how much it speaks for a class:
    float32 [n, h', w'], from 0 to 1 in each image; all 0 where nothing speaks for it.

    The channels of the map are weighted by the mean gradient of the class's logit, added up, and
    what is negative is cut off.

    Args:
        network: any of the networks: features -> head.
        images: [n, channels, height, width], as the network takes them.
        classes: int64 [n], the class of each image to look for.
    """
    with evaluation_mode(network):
        with paddle.no_grad():
            maps = network.features(paddle.to_tensor(images))
        maps.stop_gradient = False
        logits = network.head(maps)
        wanted = paddle.to_tensor(classes).reshape([-1, 1])
        chosen = paddle.take_along_axis(logits, wanted, axis=1)
        gradient = paddle.grad(chosen.sum(), maps)[0]
    weights = gradient.mean(axis=[2, 3], keepdim=True)
    heat = paddle.nn.functional.relu((weights * maps).sum(axis=1)).numpy()
    highest = heat.max(axis=(1, 2), keepdims=True)
    scaled: np.ndarray = heat / np.where(highest > 0, highest, 1)
    return scaled.astype(np.float32)


def overlays(pictures: np.ndarray, heat: np.ndarray) -> List[np.ndarray]:
    """Return the pictures with the heat laid over them: the hotter, the less of the picture shows.

    Args:
        pictures: uint8 [n, height, width, 3], RGB.
        heat: float32 [n, h', w'], 0 to 1.
    """
    return [_overlay(picture, one) for picture, one in zip(pictures, heat)]


def _overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    large = np.clip(cv2.resize(heat, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    colours = cv2.applyColorMap((large * 255).astype(np.uint8), cv2.COLORMAP_JET)[:, :, ::-1]
    share = (0.15 + 0.5 * large)[:, :, None]
    return (picture * (1 - share) + colours * share).astype(np.uint8)
