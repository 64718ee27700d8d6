"""Whether losses and metrics take the kind of labels that they are going to get."""

from __future__ import annotations

from typing import FrozenSet, Mapping

from ppcls.config import Config
from ppcls.errors import ConfigError
from ppcls.labels import HARD_ONLY, LabelKind, any_of
from ppcls.registry import Part, is_built_in, lookup, names


def accepted_kinds(kind: str, name: str) -> FrozenSet[LabelKind]:
    """Return the kinds of labels that a registered loss or metric takes."""
    return getattr(lookup(kind, name).constructor, "accepts", HARD_ONLY)


def expected_kind(config: Config) -> LabelKind:
    """Return the kind of labels that images have by the configuration alone: any number of classes
    where it says so, or names a data set or answers of that kind, else one.
    """
    wanted, answers = config.Global.use_multilabel, config.Infer.PostProcess
    if wanted is None:
        splits = (config.DataLoader.Train, config.DataLoader.Eval)
        wanted = any(split and split.dataset.name == "MultiLabelDataset" for split in splits)
        wanted = wanted or bool(answers and answers.name == "MultiLabelThreshOutput")
    return LabelKind.MULTI_HOT if wanted else LabelKind.HARD


def check_kind_is_expected(config: Config, found: LabelKind) -> None:
    """Check that the training set is of the kind that the configuration says, if it does.

    Raises:
        ConfigError: it is not.
    """
    wanted = config.Global.use_multilabel
    if wanted is not None and wanted != (found is LabelKind.MULTI_HOT):
        number = "any number of classes" if wanted else "one class"
        raise ConfigError(
            f"{config.where('Global', 'use_multilabel')} is {wanted}, so that an image has "
            f"{number}, but the labels of DataLoader.Train are {found}; change it, or take another "
            f"data set: {'MultiLabelDataset' if wanted else 'ImageNetDataset'}"
        )
    answers = config.Infer.PostProcess
    if answers and answers.name == "MultiLabelThreshOutput" and found is not LabelKind.MULTI_HOT:
        raise ConfigError(
            f"{config.where('Infer', 'PostProcess')}: MultiLabelThreshOutput answers with any "
            f"number of classes, but the labels of DataLoader.Train are {found}; take Topk, or "
            "another data set: MultiLabelDataset"
        )


def takes(part: Part, labels: LabelKind) -> bool:
    """Whether a loss or metric takes such labels."""
    return labels in accepted_kinds(part.kind, part.name)


def check_labels_fit(labels: LabelKind, source: str, parts: Mapping[str, Part]) -> None:
    """Check that all losses and metrics take the labels that they will be called with.

    Args:
        labels: their kind.
        source: what gives them, for the message, such as "DataLoader.Train".
        parts: the losses and metrics by the place where each was written (file:line: key).

    Raises:
        ConfigError: one does not; the message says which do.
    """
    for place, part in parts.items():
        if not takes(part, labels):
            accepted = any_of(accepted_kinds(part.kind, part.name))
            raise ConfigError(
                f"{place}: {part.name} takes {accepted} labels, but those of {source} are "
                f"{labels}. {_advice(part, labels)}"
            )


def _advice(part: Part, labels: LabelKind) -> str:
    kind = part.kind
    able = [name for name in names(kind) if labels in accepted_kinds(kind, name)]
    own = not is_built_in(lookup(kind, part.name).constructor)
    hint = f"; a {kind} of your own says what it takes by its attribute accepts" if own else ""
    if able:
        return f"Use a {kind} that takes {labels} labels: {', '.join(able)}{hint}"
    return (
        f"No {kind} takes {labels} labels; remove this one, or, where the list is inherited, write "
        f"null in its place (-o {kind.capitalize()}.Train=null){hint}"
    )
