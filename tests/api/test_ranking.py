"""Which names the classes of a bundle and of predictions get."""

from __future__ import annotations

from typing import Any, Dict, Optional

import pytest

from ppcls.api.ranking import names_of
from ppcls.config import as_config
from ppcls.data.dataset import ClassMap
from ppcls.data.imagenet_classes import imagenet_classes


def _config(train: Optional[str], evaluation: Optional[str], **changes: Any) -> Dict[str, Any]:
    """A recipe whose data sets lie in these folders."""
    splits = {
        name: {
            "dataset": {
                "name": "ImageNetDataset",
                "image_root": folder,
                "cls_label_path": f"{folder}/list.txt",
                "transform_ops": [],
            },
            "sampler": {"name": "DistributedBatchSampler", "batch_size": 2},
        }
        for name, folder in (("Train", train), ("Eval", evaluation))
        if folder is not None
    }
    return {"Arch": {"name": "ResNet18"}, "DataLoader": splits, **changes}


@pytest.mark.parametrize(
    ("train", "evaluation", "classes", "expected"),
    [
        ("dataset/ILSVRC2012", "dataset/ILSVRC2012", 1000, True),
        (None, "/data/ImageNet-1k/val", 1000, True),
        ("imagenet", None, 1000, True),
        ("dataset/ILSVRC2012", "dataset/birds", 1000, False),
        ("dataset/birds", "dataset/birds", 1000, False),
        ("dataset/imagenet100", "dataset/imagenet100", 1000, False),
        ("dataset/ImageNet", "dataset/ImageNet", 100, False),
        (None, None, 1000, False),
    ],
)
def test_recipes_of_imagenet_have_its_names(
    train: Optional[str], evaluation: Optional[str], classes: int, expected: bool
) -> None:
    found = names_of(as_config(_config(train, evaluation)), ClassMap.numbered(classes))
    assert found == (imagenet_classes() if expected else ClassMap.numbered(classes))


def test_names_of_the_training_and_of_the_recipe_come_first() -> None:
    folder = "dataset/ILSVRC2012"
    trained = ClassMap([f"bird {number}" for number in range(1000)])
    assert names_of(as_config(_config(folder, folder)), trained) == trained
    listed = [f"fish {number}" for number in range(1000)]
    named = {"Infer": {"PostProcess": {"name": "Topk", "label_list": listed}}}
    given = as_config(_config(folder, folder, **named))
    assert names_of(given, ClassMap.numbered(1000)).names == listed
