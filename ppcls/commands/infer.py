"""``ppcls infer``: predict the images of Infer.infer_imgs with a trained network, before it is
exported.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Iterator, List, Tuple

from ppcls import runtime
from ppcls.commands import add_config_arguments, run_with_config
from ppcls.commands.ranking import names_of, topk_of

if TYPE_CHECKING:
    from ppcls.config import Config
    from ppcls.engine.trained import Trained
    from ppcls.inference.predictor import Prediction

HELP = "predict images with a trained network"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict and print; status 1 when every image failed."""
    return run_with_config(arguments, _run)


def _run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.config import require
    from ppcls.inference.output import as_text
    from ppcls.inference.sources import find_images

    require(config, "Infer.infer_imgs")
    runtime.use_device(config.Global.device)
    with config.naming("Infer", "infer_imgs"):
        paths = find_images([str(config.Infer.infer_imgs)])
    failed = 0
    for prediction in _predict(config, paths):
        print(as_text(prediction))
        failed += prediction.error is not None
    return int(failed == len(paths))


def _predict(config: Config, paths: List[str]) -> Iterator[Prediction]:
    from ppcls.engine.builder import check_images_fit
    from ppcls.engine.trained import eval_transform, load_trained

    transform = eval_transform(config)
    trained = load_trained(config, transform.channels)
    check_images_fit(config, trained.network, transform, "DataLoader.Eval")
    rank = _topk(config, trained)
    for start in range(0, len(paths), config.Infer.batch_size):
        rows = [
            (path, _read(path, transform))
            for path in paths[start : start + config.Infer.batch_size]
        ]
        yield from _predict_batch(trained, rank, rows)


def _predict_batch(
    trained: Trained, rank: Any, rows: List[Tuple[str, Any]]
) -> Iterator[Prediction]:
    import numpy as np
    import paddle

    from ppcls.inference.predictor import Prediction

    images = [image for _, image in rows if not isinstance(image, str)]
    ranked: Iterator[Any] = iter([])
    if images:
        with paddle.no_grad():
            logits = trained.network(paddle.to_tensor(np.stack(images)))
        ranked = iter(rank(paddle.nn.functional.softmax(logits).numpy()))
    for path, image in rows:
        if isinstance(image, str):
            yield Prediction(path, error=image)
        else:
            yield Prediction(path, *next(ranked))


def _read(path: str, transform: Any) -> Any:
    """Return the preprocessed image, or why there is none."""
    from ppcls.errors import BadImageError

    try:
        with open(path, "rb") as file:
            return transform(file.read())
    except (OSError, BadImageError) as error:
        return str(error)


def _topk(config: Config, trained: Trained) -> Any:
    """Return the post-processing of the file, with a name for each class."""
    from ppcls.inference.postprocess import Topk

    names = names_of(config, trained.class_map).names
    return Topk(topk=min(topk_of(config), len(names)), label_list=names)
