"""A recipe for a set of one's own images, made from another recipe.

What belongs to the other recipe's data gives way: paths, the number of classes, how images are
named. Batch, epochs and rates follow from the size of the set.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ppcls.config.inherit import recipe_homes
from ppcls.config.load import find_recipe, load_config
from ppcls.errors import ConfigError, UsageError
from ppcls.registry import as_part, lookup

SIZES = range(8, 2049)
"""The sides in pixels that images may be given."""

UPDATES_AN_EPOCH = 6
"""How many updates an epoch has at least, as long as the batch stays above `SMALLEST_BATCH`."""

SMALLEST_BATCH = 8
IMAGES_SEEN = 300_000
"""A run sees about so many images, counting each as often as it is seen, ..."""

USUAL_EPOCHS = 30
"""... in no more epochs than the recipe says or these, and in no fewer than either."""

_ADAPTIVE = {"Adam", "AdamW", "Lamb", "Lion", "Muon", "RMSProp"}
_RATES = (
    *("learning_rate", "values", "max_learning_rate"),
    *("eta_min", "end_lr", "min_lr", "warmup_start_lr"),
)
_EPOCHS = (
    *("warmup_epoch", "decay_epochs", "milestones"),
    *("step_size", "step_size_up", "step_size_down"),
)


@dataclass(frozen=True)
class OwnLists:
    """What a recipe is written for: absolute paths, and how much there is.

    Attributes:
        root: the folder that the lists' paths start from.
        train, val: the list files.
        labels: the file with the names of the classes.
        example: an image to predict.
        images: how many there are to learn from.
        classes: how many there are.
        output_dir: where the run goes.
    """

    root: str
    train: str
    val: str
    labels: str
    example: str
    images: int
    classes: int
    output_dir: str


def own_recipe(base: str, lists: OwnLists, size: Optional[int] = None) -> Dict[str, Any]:
    """Return a recipe as data: `_base_`, and what is different.

    Args:
        base: the recipe to start from, a file or one that comes with the package.
        lists: the images.
        size: the side in pixels of the square images that the network sees; None leaves the base's.

    Raises:
        ConfigError: there is no such recipe, or it has no transforms for training and evaluation.
        UsageError: the size is not one of `SIZES`.
    """
    if size is not None and size not in SIZES:
        limits = f"{SIZES[0]} to {SIZES[-1]}"
        raise UsageError(f"the images' size must be {limits} pixels, got {size}")
    inherited = load_config(base).data
    wanted = copy.deepcopy(inherited)
    for split, path in (("Train", lists.train), ("Eval", lists.val)):
        wanted["DataLoader"][split]["dataset"] = _dataset(inherited, split, lists.root, path, size)
    _adapt_data(wanted, lists)
    _adapt_schedule(wanted, lists.images)
    if not _are_named(inherited):
        return wanted
    return {"_base_": _base_name(base), **_different(inherited, wanted)}


def _arguments(part: Any) -> Dict[str, Any]:
    """Return the arguments of a part, written {name: X, a: 1} or {X: {a: 1}}, to be changed."""
    if isinstance(part, dict) and "name" not in part and len(part) == 1:
        part = next(iter(part.values()))
    return part if isinstance(part, dict) else {}


def _are_named(recipe: Mapping[str, Any]) -> bool:
    """Whether parts are written {name: X, a: 1}; in others no single argument can be replaced."""
    loaders = recipe["DataLoader"]
    parts = [loaders[split][key] for split in ("Train", "Eval") for key in ("dataset", "sampler")]
    return all("name" in part for part in [*parts, *_schedules(recipe)])


def _schedules(recipe: Mapping[str, Any]) -> List[Dict[str, Any]]:
    optimizer = recipe.get("Optimizer")
    return [optimizer, _arguments(optimizer).get("lr", {})] if optimizer else []


def _base_name(base: str) -> str:
    """Return how a recipe in another folder names this one."""
    found = find_recipe(base).resolve()
    for home in recipe_homes():
        if home.resolve() in found.parents:
            return str(found.relative_to(home.resolve()))
    return str(found)


def _dataset(
    inherited: Mapping[str, Any], split: str, root: str, path: str, size: Optional[int]
) -> Dict[str, Any]:
    try:
        old = _arguments(inherited["DataLoader"][split]["dataset"])
        ops = old["transform_ops"]
    except (KeyError, TypeError):
        raise ConfigError(
            f"the base recipe has no DataLoader.{split}.dataset.transform_ops, so it cannot say "
            "how images are prepared; choose another one with --base"
        ) from None
    # None takes back what the base says of its own lists.
    stale: Dict[str, Any] = {key: None for key in ("delimiter",) if old.get(key) is not None}
    stale.update({key: False for key in ("relabel",) if old.get(key)})
    found = {"name": "ImageNetDataset", "image_root": root, "cls_label_path": path, **stale}
    mixing = {key: old[key] for key in ("batch_transform_ops",) if key in old}
    return {**found, "transform_ops": [_sized(op, size) for op in ops], **mixing}


def _sized(op: Any, size: Optional[int]) -> Any:
    """Return a transform with the sizes that belong to images of `size` pixels: 224 of 256."""
    if size is None or not isinstance(op, dict):
        return op
    sizes: Dict[str, Dict[str, Any]] = {
        "RandCropImage": {"size": size, "progress_size": None},
        "CropImage": {"size": size},
        "CropImageAtRatio": {"size": size, "pad": round(size / 7)},
    }
    resized = {"resize_short": round(size * 256 / 224)}
    return {
        name: {**(arguments or {}), **sizes[name]}
        if name in sizes
        else {**arguments, **({"size": size} if "size" in arguments else resized)}
        if name == "ResizeImage"
        else arguments
        for name, arguments in op.items()
    }


def _adapt_data(recipe: Dict[str, Any], lists: OwnLists) -> None:
    """Put the set's paths and numbers in the place of the base's."""
    settings = recipe.setdefault("Global", {})
    settings["output_dir"] = lists.output_dir
    settings["class_id_map_file"] = lists.labels
    for key in ("image_shape", "checkpoints"):
        if settings.get(key) is not None:
            settings[key] = None
    if settings.get("pretrained_model"):
        # That of `Arch` is adapted to other classes, and this must fit.
        recipe["Arch"]["pretrained"], settings["pretrained_model"] = (
            settings["pretrained_model"],
            None,
        )
    if "class_num" in recipe["Arch"]:
        recipe["Arch"]["class_num"] = lists.classes
    if recipe.get("Teacher"):
        # It knows the base's classes.
        recipe["Teacher"] = None
        losses = [one for one in recipe["Loss"]["Train"] if not _needs_teacher(one)]
        recipe["Loss"]["Train"] = losses or [{"CELoss": {}}]
    for split in ("Train", "Eval"):
        sampler = _arguments(recipe["DataLoader"][split]["sampler"])
        if sampler.get("drop_last"):
            sampler["drop_last"] = False
    for loss in (recipe.get("Loss") or {}).get("Train") or []:
        # Weights by name or in order are those of other classes.
        if _arguments(loss).get("class_weights") is not None:
            _arguments(loss)["class_weights"] = "auto"
    infer = recipe.get("Infer") or {}
    if "infer_imgs" in infer:
        infer["infer_imgs"] = lists.example
    if (infer.get("PostProcess") or {}).get("class_id_map_file"):
        infer["PostProcess"]["class_id_map_file"] = lists.labels


def _needs_teacher(loss: Any) -> bool:
    part = as_part("loss", loss)
    return bool(getattr(lookup(part.kind, part.name).constructor, "needs_teacher", False))


def _adapt_schedule(recipe: Dict[str, Any], images: int) -> None:
    """Let batch, epochs and rates follow from the number of images to learn from."""
    settings = recipe["Global"]
    sampler = _arguments(recipe["DataLoader"]["Train"]["sampler"])
    old = sampler["batch_size"] * settings.get("update_freq", 1)
    most = images / UPDATES_AN_EPOCH
    batch = min(sampler["batch_size"], max(SMALLEST_BATCH, 2 ** int(math.log2(max(1, most)))))
    accumulated = max(1, int(min(old, most) / batch))
    if settings.get("update_freq", 1) != accumulated:
        settings["update_freq"] = accumulated
    sampler["batch_size"] = batch
    epochs = settings.get("epochs", 1)
    fewest, most = sorted([epochs, USUAL_EPOCHS])
    settings["epochs"] = min(most, max(fewest, math.ceil(IMAGES_SEEN / images)))
    for key in ("start_eval_epoch", "eval_interval", "save_interval"):
        if settings.get(key, 0) > settings["epochs"]:
            settings[key] = settings["epochs"]
    optimizer = recipe.get("Optimizer")
    lr = _arguments(_arguments(optimizer).get("lr"))
    _scale(lr, _RATES, _rate_factor(optimizer, batch * accumulated / old))
    _scale(lr, _EPOCHS, settings["epochs"] / epochs)


def _rate_factor(optimizer: Any, batches: float) -> float:
    """Return what rates are multiplied by where the batch is: in proportion for plain gradients
    (Goyal et al. 2017), by the square root for those that are divided by their own size (Krizhevsky
    2014).
    """
    is_adaptive = isinstance(optimizer, dict) and not _ADAPTIVE.isdisjoint(
        [optimizer.get("name"), *optimizer]
    )
    return math.sqrt(batches) if is_adaptive else batches


def _scale(schedule: Dict[str, Any], keys: Sequence[str], factor: float) -> None:
    """Multiply some arguments of a schedule, in four digits."""
    for key in keys if factor != 1 else ():
        value = schedule.get(key)
        if isinstance(value, list):
            schedule[key] = [float(f"{item * factor:.4g}") for item in value]
        elif value:
            schedule[key] = float(f"{value * factor:.4g}")


def _is_same_part(old: Any, new: Any) -> bool:
    both = isinstance(old, dict) and isinstance(new, dict)
    return both and bool(old.get("name") == new.get("name"))


def _different(old: Mapping[str, Any], new: Mapping[str, Any]) -> Dict[str, Any]:
    """Return what must be said to turn `old` into `new`, where mappings are merged key by key."""
    found = {}
    for key, value in new.items():
        before = old.get(key)
        if _is_same_part(before, value):
            inside = _different(old[key], value)
            if inside:
                found[key] = inside
        elif key not in old or value != before:
            found[key] = value
    return found
