"""Pictures of what a configuration means: its learning rate over the run, and its augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from ppcls.config import Config, ConfigSource, as_config, require
from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.decode import DecodeImage
from ppcls.data.transforms.imagefile import read_image_file
from ppcls.engine.swa import with_constant_end
from ppcls.errors import BadImageError, ConfigError
from ppcls.files import replacing
from ppcls.optimizer.schedule import Schedule

_POINTS = 2000
_COLUMNS = 4
_BLUE = "#1f77b4"


def plot_learning_rate(
    config: ConfigSource, output: Union[str, Path], batches: Optional[int] = None
) -> Schedule:
    """Draw the learning rate of every update of a run, and return the schedule.

    No network is built, and no image is read.

    Args:
        config: a checked configuration, the path of a file, or its content as a mapping.
        output: the picture, a PNG.
        batches: of an epoch; None counts the images of DataLoader.Train.

    Raises:
        ConfigError: the configuration is wrong.
        DataError: the data set is missing, and `batches` is not given.
    """
    config = as_config(config)
    require(config, "Optimizer")
    schedule = _schedule(config, batches or _count_batches(config))
    axes, save = _new_picture(7, 3.6)
    steps = _drawn_steps(schedule)
    epochs = [step / schedule.steps_per_epoch for step in steps]
    rates = [schedule.at(step) for step in steps]
    axes.plot(epochs, rates, color=_BLUE, drawstyle="steps-post")
    if schedule.warmup_epoch:
        axes.axvspan(0, schedule.warmup_epoch, color=_BLUE, alpha=0.1, label="warm-up")
        axes.legend()
    axes.set(xlabel="epoch", ylabel="learning rate", title=describe_schedule(schedule))
    axes.set_xlim(0, schedule.epochs)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    save(output)
    return schedule


_WITHOUT = ", if evaluation gets better all the time"


def describe_schedule(schedule: Schedule) -> str:
    """Say in a line what a schedule does."""
    epochs, updates = schedule.epochs, schedule.steps_per_epoch
    rates = [schedule.at(step) for step in _drawn_steps(schedule)]
    return (
        f"{type(schedule).__name__}: {epochs} epochs of {updates} updates, begins at "
        f"{rates[0]:.3g}, at most {max(rates):.3g}, ends at {rates[-1]:.3g}"
        f"{_WITHOUT if schedule.learns_from_evaluation else ''}"
    )


def _drawn_steps(schedule: Schedule) -> List[int]:
    """Return the updates that are drawn: all, or so many that a picture shows no difference."""
    last = schedule.epochs * schedule.steps_per_epoch - 1
    steps = {round(last * point / _POINTS) for point in range(_POINTS + 1)}
    return sorted(steps | {min(last, round(schedule.warmup_epoch * schedule.steps_per_epoch))})


def _count_batches(config: Config) -> int:
    require(config, "DataLoader.Train")
    section = config.DataLoader.Train
    assert section is not None
    with config.naming("DataLoader", "Train"):
        dataset = section.dataset.build(class_map=None, class_num=None)
        return len(section.sampler.build(length=len(dataset), seed=0, rank=0, world_size=1))


def _schedule(config: Config, batches: int) -> Schedule:
    assert config.Optimizer is not None
    updates = -(-batches // config.Global.update_freq)
    with config.naming("Optimizer"):
        part = config.Optimizer.arguments["lr"]
        schedule = part.build(epochs=config.Global.epochs, steps_per_epoch=updates)
    return with_constant_end(config, schedule)


def plot_augmentation(
    config: ConfigSource, photo: Union[str, Path], output: Union[str, Path], count: int = 11
) -> List[str]:
    """Draw a photo, and beside it what the network sees of it in the first epochs.

    Normalisation is undone; what the transforms of whole batches add (Mixup) is not shown.

    Args:
        config: a checked configuration, the path of a file, or its content as a mapping.
        photo: an image file.
        output: the picture, a PNG.
        count: of how many epochs.

    Returns:
        The names of the transforms, in their order.

    Raises:
        ConfigError: the configuration is wrong, or has no training set.
        BadImageError: the photo is no complete image.
    """
    config = as_config(config)
    require(config, "DataLoader.Train")
    assert config.DataLoader.Train is not None
    arguments = config.DataLoader.Train.dataset.arguments
    if "transform_ops" not in arguments:
        where = config.where("DataLoader", "Train", "dataset")
        raise ConfigError(f"{where}: this data set has no transform_ops to show")
    with config.naming("DataLoader", "Train", "dataset", "transform_ops"):
        pipeline = Pipeline(arguments["transform_ops"])
    rngs = [np.random.default_rng([config.Global.seed, epoch, 0]) for epoch in range(count)]
    names = [next(iter(op)) for op in pipeline.spec()]
    try:
        data = read_image_file(str(photo))
        original = DecodeImage()(data, np.random.default_rng(0))
        stages = [pipeline.at(epoch / max(count, config.Global.epochs)) for epoch in range(count)]
        drawn = zip(stages, rngs)
        results = [denormalised(stage(data, rng), stage.spec()) for stage, rng in drawn]
    except BadImageError as error:
        raise BadImageError(f"{photo}: {error}") from None
    _draw_grid([original, *results], names, output)
    return names


def denormalised(image: np.ndarray, spec: Sequence[Dict[str, Dict[str, Any]]]) -> np.ndarray:
    """Undo the normalisation of an image.

    Args:
        image: channels x height x width, as a network takes it.
        spec: the transforms that made it, see `Pipeline.spec`.

    Returns:
        height x width x 1 or 3, uint8, red first.
    """
    pixels = image.transpose(1, 2, 0).astype(np.float64)
    for op in reversed(spec):
        normal = op.get("NormalizeImage")
        if normal is not None:
            pixels = pixels[:, :, : len(normal["mean"])]
            pixels = (pixels * normal["std"] + normal["mean"]) / normal["scale"]
    found = pixels.round().clip(0, 255).astype(np.uint8)
    return found if spec[0]["DecodeImage"]["to_rgb"] else found[:, :, ::-1]


def _draw_grid(pictures: List[np.ndarray], names: List[str], output: Union[str, Path]) -> None:
    rows = -(-len(pictures) // _COLUMNS)
    axes, save = _new_picture(2.4 * _COLUMNS, 2.5 * rows + 0.6, (rows, _COLUMNS))
    for number, (place, picture) in enumerate(zip(axes.flat, pictures)):
        place.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
        height, width = picture.shape[:2]
        title = f"epoch {number}" if number else "the photo"
        place.set_title(f"{title}, {width} x {height}", fontsize=8)
    for place in axes.flat:
        place.axis("off")
    axes.flat[0].figure.suptitle(_in_lines(names), fontsize=9)
    save(output)


def _in_lines(names: List[str]) -> str:
    """Join the names of transforms, a few on a line."""
    lines = [", ".join(names[i : i + 5]) for i in range(0, len(names), 5)]
    return ",\n".join(lines)


def _new_picture(width: float, height: float, grid: Tuple[int, int] = (1, 1)) -> Tuple[Any, Any]:
    """Return the axes of a new picture of so many inches, and what writes it to a file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)

    def save(path: Union[str, Path]) -> None:
        with replacing(Path(path)) as draft:
            figure.savefig(draft, format="png", dpi=120)

    return figure.subplots(*grid), save
